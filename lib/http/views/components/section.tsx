import type { ComponentChildren } from 'preact';

interface SectionProps {
  title?: string;
  /** A sentence below the title. */
  lead?: ComponentChildren;
  /** What is at the end of the line with the title. */
  aside?: ComponentChildren;
  /** Where links lead to it. */
  id?: string;
  /** Without the box around it. */
  isPlain?: boolean;
  children?: ComponentChildren;
}

/** A part of a page under its own heading. */
export function Section({ title, lead, aside, id, isPlain = false, children }: SectionProps) {
  return (
    <section class={isPlain ? 'rf-section' : 'rf-section rf-box'} id={id}>
      {(title || aside) && (
        <div class="rf-section-head">
          {title ? <h2>{title}</h2> : lead && <p class="rf-lead">{lead}</p>}
          {aside && <div class="rf-section-aside">{aside}</div>}
        </div>
      )}
      {lead && (title || !aside) && <p class="rf-lead">{lead}</p>}
      {children}
    </section>
  );
}
