/** What was wrong with a field. */
export interface FieldProblem {
  message: string;
  code: string;
}

/** An answer that is an error: its status and its body. */
export class Problem extends Error {
  readonly status: number;
  readonly body: object;

  constructor(status: number, body: object) {
    super('an error of the API');
    this.status = status;
    this.body = body;
  }
}

export const notFound = (): Problem => new Problem(404, { detail: 'Not found.' });

/** A 400 that names the field. */
export function badField(field: string, message: string, code = 'invalid'): Problem {
  return new Problem(400, { [field]: [{ message, code }] satisfies FieldProblem[] });
}
