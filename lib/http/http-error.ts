/** One reason why a field is refused. */
export interface FieldError {
  message: string;
  /** A stable word for programs, for example `invalid` or `required`. */
  code: string;
}

/** The body of a 400 that names fields: each refused field with its reasons. */
export type FieldErrors = Record<string, FieldError[]>;

/** The body of every other error. */
export interface ErrorDetail {
  detail: string;
  code?: string;
}

/** Thrown by a handler to end the request with this status and this body. */
export class HttpError extends Error {
  readonly status: number;
  readonly body: ErrorDetail | FieldErrors;

  constructor(status: number, body: ErrorDetail | FieldErrors) {
    super(`the response ${status} to a request`);
    this.status = status;
    this.body = body;
  }
}

export const notFound = (): HttpError => new HttpError(404, { detail: 'Not found.' });

/** A 400 for one field. */
export function badField(field: string, message: string, code = 'invalid'): HttpError {
  return new HttpError(400, { [field]: [{ message, code }] });
}

/** A 400 for several fields, with one message for each. */
export function badFields(messages: Readonly<Record<string, string>>): HttpError {
  const errors = Object.entries(messages).map(([field, message]) => [field, [{ message, code: 'invalid' }]]);
  return new HttpError(400, Object.fromEntries(errors) as FieldErrors);
}
