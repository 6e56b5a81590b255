import type { ComponentChildren } from 'preact';

export type Tone = 'neutral' | 'good' | 'wait' | 'bad';

/** A state in a word. */
export function Badge({ tone = 'neutral', children }: { tone?: Tone; children?: ComponentChildren }) {
  return <span class={`rf-badge rf-${tone}`}>{children}</span>;
}
