/** The columns of a new commission that tell from when on it is available, in the order of {@link availableFrom}. */
export const availableColumns = 'available_at, held_for, held_from';

/**
 * SQL: their values. If reviews hold what the referee earns the referrer, the commission is held from the start. It
 * needs the CTE `counted`, which locks the row of the two and returns its `held_for`.
 */
export function availableFrom(time: string): string {
  const causes = `coalesce((SELECT held_for FROM counted), '{}')`;
  return `CASE WHEN ${causes} = '{}' THEN ${time} ELSE 'infinity' END, ${causes},
        CASE WHEN ${causes} <> '{}' THEN ${time} END`;
}
