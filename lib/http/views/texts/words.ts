/** The type of words in any language: the same names, with any text, and functions of the same facts. */
export type Words<T> = {
  readonly [Name in keyof T]: T[Name] extends string
    ? string
    : T[Name] extends (...facts: infer Facts) => string
      ? (...facts: Facts) => string
      : Words<T[Name]>;
};
