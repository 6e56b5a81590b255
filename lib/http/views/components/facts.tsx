import type { ComponentChildren } from 'preact';

export interface Fact {
  name: string;
  value: ComponentChildren;
}

/** Names and their values, as a list. Facts that are null are left out. */
export function Facts({ facts }: { facts: readonly (Fact | null)[] }) {
  return (
    <dl class="rf-facts">
      {facts
        .filter((fact) => fact !== null)
        .map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

interface FigureProps {
  name: string;
  value: ComponentChildren;
  /** A line below the value. */
  note?: ComponentChildren;
}

/** Figures side by side. */
export function Figures({ children }: { children?: ComponentChildren }) {
  return <dl class="rf-figures">{children}</dl>;
}

/** One number that counts. It stands in `Figures`. */
export function Figure({ name, value, note }: FigureProps) {
  return (
    <div class="rf-figure">
      <dt>{name}</dt>
      <dd>
        <span class="rf-figure-value">{value}</span>
        {note && <span class="rf-figure-note">{note}</span>}
      </dd>
    </div>
  );
}
