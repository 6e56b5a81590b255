/** The result of `renameUser` and `mergeUsers`. */
export interface UserChange {
  /** How many rows have the new id now, or were added to one that has it. 0 if no row had the old id. */
  rows: number;
}
