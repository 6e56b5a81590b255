import { isAway } from '../../../database/unavailable';
import { ReferralError, type ReferralErrorCode } from '../../../errors';
import type { ActionTexts } from '../../views/texts/en-actions';
import type { Words } from '../../views/texts/words';
import type { Action, Field, FieldName, Subject } from './action';
import type { Typed } from './form-input';

type ActionWords = Words<ActionTexts>;

/** What is wrong with one field. */
export interface FieldProblem {
  readonly message: string;
  /** The sentence of the call, in English and for developers; null if the message says it all. */
  readonly detail: string | null;
}

/** Why an action was not done. */
export interface Problem {
  readonly status: number;
  /** By the names of the fields. */
  readonly fields: ReadonlyMap<string, FieldProblem>;
  /** What is wrong as a whole; null if a field says it. */
  readonly general: FieldProblem | null;
}

/** The fields that a refusal can be about: the first one that the form has, and that something was typed into. */
const fieldsOfRefusals: Partial<Record<ReferralErrorCode, readonly FieldName[]>> = {
  NOT_FOUND: ['code', 'reference', 'credit'],
  AMBIGUOUS: ['reference'],
  CODE_TAKEN: ['code', 'prefix'],
  NAME_TAKEN: ['name'],
  REFERRAL_EXISTS: ['label', 'code'],
  SIGNUP_REFUSED: ['code'],
  USER_EXISTS: ['to'],
  REFERENCES_CLASH: ['into'],
  REFERENCE_REUSED: ['reference'],
  NOTHING_TO_REFUND: ['reference'],
  WRONG_STATE: ['reference'],
  CODES_EXHAUSTED: ['prefix', 'count'],
};

/** Returns what can be said before the call: of fields that are needed and empty, and of choices that do not exist. */
export function missingIn(action: Action, typed: Typed, words: ActionWords): Problem | null {
  const problems = new Map<string, FieldProblem>();
  const say = (name: string, message: string): unknown => problems.set(name, { message, detail: null });
  for (const { name, kind, isRequired, choices } of action.fields) {
    const text = (typed[name] ?? '').trim();
    if (isRequired && text === '' && (!action.isChange || name in typed)) say(name, words.wrong.needed);
    else if (kind === 'choice' && choices && text !== '' && !Object.hasOwn(words.choices[choices], text))
      say(name, words.wrong.choice);
  }
  const reason = (typed['reason'] ?? '').trim();
  if (reason === '' || reason.length > 500) say('reason', words.wrong.reason);
  return problems.size === 0 ? null : { status: 400, fields: problems, general: null };
}

/** Returns what an error says about a form; null for one that is not about it. */
export function problemOf(
  error: unknown,
  action: Action,
  { typed, subject, words }: { typed: Typed; subject: Subject | null; words: ActionWords },
): Problem | null {
  if (isAway(error)) {
    const message = words.refusals.DATABASE_UNAVAILABLE;
    return { status: 503, fields: new Map(), general: { message, detail: null } };
  }
  if (!(error instanceof ReferralError)) return null;
  const { code, message: detail } = error;
  const isOfForm = error.status < 500 || code === 'CODES_EXHAUSTED';
  if (!isOfForm) return null;
  const status = error.status < 500 ? error.status : 409;
  if (code === 'INVALID_INPUT') {
    const field = fieldNamed(action, error.field ?? '');
    const isReason = error.field === 'reason';
    const message = isReason ? words.wrong.reason : field ? words.wrong[field.kind] : words.refusals.other;
    return problemAt(isReason ? 'reason' : (field?.name ?? null), status, { message, detail });
  }
  const message = Object.hasOwn(words.refusals, code)
    ? words.refusals[code as keyof ActionWords['refusals']]
    : words.refusals.other;
  return problemAt(fieldRefused(action, code, typed, subject), status, { message, detail });
}

function problemAt(name: string | null, status: number, problem: FieldProblem): Problem {
  if (name === null) return { status, fields: new Map(), general: problem };
  return { status, fields: new Map([[name, problem]]), general: null };
}

/** The field that a call names: one of a list, `products[3]`, is that of the list; a group is its first field. */
function fieldNamed({ fields }: Action, name: string): Field | undefined {
  const whole = name
    .replace(/\[.*$/, '')
    .replace(/^ids$/, 'id')
    .replace(/^user\.id$/, 'user');
  return fields.find((field) => field.name === whole) ?? fields.find((field) => field.name.startsWith(`${whole}.`));
}

/** The field that a refusal is about; null for none. While the form's subject is not found, that is what is missing. */
function fieldRefused(action: Action, code: ReferralErrorCode, typed: Typed, subject: Subject | null): string | null {
  const about = action.fields.find(({ isAbout }) => isAbout)?.name ?? null;
  if (action.subject && subject === null) return about;
  const isTyped = (name: FieldName): boolean =>
    name !== about && action.fields.some((field) => field.name === name) && (typed[name] ?? '') !== '';
  return (fieldsOfRefusals[code] ?? []).find(isTyped) ?? (code === 'NOT_FOUND' ? about : null);
}
