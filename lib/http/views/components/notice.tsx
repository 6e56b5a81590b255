import type { ComponentChildren } from 'preact';

export type NoticeTone = 'good' | 'wait' | 'bad' | 'neutral';

/** What has happened, or what to know before going on. */
export function Notice({ tone = 'neutral', children }: { tone?: NoticeTone; children?: ComponentChildren }) {
  return (
    <div class={`rf-notice rf-${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

interface EmptyProps {
  title: string;
  /** What to do next: a sentence, and a link or a button. */
  children?: ComponentChildren;
}

/** What a list shows while it is empty. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <div class="rf-empty">
      <p class="rf-empty-title">{title}</p>
      {children}
    </div>
  );
}
