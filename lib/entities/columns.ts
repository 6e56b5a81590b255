import type { ValueTransformer } from 'typeorm';

/** `bigint` arrives from the driver as a string; ours are identities far below 2^53 and are shown as numbers. */
export const bigintAsNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
};

/** Lengths in characters; the migration and the checks of input use the same ones. */
export const lengths = {
  /** Any id of the host's: users and targets. */
  id: 128,
  label: 100,
  code: 100,
  redirectTo: 2048,
  targetType: 128,
  action: 128,
  header: 1024,
} as const;
