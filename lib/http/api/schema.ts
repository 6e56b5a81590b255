import type { Wire } from './wire-types';

declare const value: unique symbol;

/**
 * A JSON Schema for values of the type T. T exists only for the compiler, which compares a schema with the type that it
 * describes. The property `[value]` takes and returns T, so that neither a wider nor a narrower type fits.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface Schema<T = any> {
  readonly [keyword: string]: unknown;
  readonly [value]?: (value: T) => T;
}

const isOptional = Symbol('optional property');

/** A property that may be missing; only for `object()`. */
export function optional<T>(schema: Schema<T>): Schema<T | undefined> {
  return { ...schema, [isOptional]: true } as Schema<T | undefined>;
}

/** An object with these properties and no others. All of them are required, except the `optional()` ones. */
export function object<T extends object>(
  properties: { readonly [Name in keyof T]-?: Schema<T[Name]> },
  description?: string,
): Schema<T> {
  const required = Object.entries<object>(properties)
    .filter(([, schema]) => !(isOptional in schema))
    .map(([name]) => name);
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    additionalProperties: false,
    ...(description && { description }),
  };
}

export function arrayOf<T>(items: Schema<T>): Schema<T[]> {
  return { type: 'array', items };
}

export function enumOf<const T extends readonly (string | null)[]>(...values: T): Schema<T[number]> {
  return { enum: values };
}

/** The schema of a value that can be null; the schema must have a `type`. */
export function orNull<T>(schema: Schema<T>): Schema<T | null> {
  const { type, ...rest }: Schema = schema;
  return { type: [type, 'null'], ...rest };
}

export function described<T>(schema: Schema<T>, description: string): Schema<T> {
  return { ...schema, description };
}

/** A reference to a schema of `openapi-schemas.ts`. */
export function ref<Name extends keyof Wire>(name: Name): Schema<Wire[Name]> {
  return { $ref: `#/components/schemas/${name}` };
}
