import type { EntityManager } from 'typeorm';
import type { ReferralAudit } from '../../../entities/referral-audit';
import type { Settings } from '../../../options';
import type { Rewards } from '../../../rewards/rewards';
import type { ActionTexts } from '../../views/texts/en-actions';

export type ActionName = keyof ActionTexts['names'];
export type FieldName = keyof ActionTexts['fields'];
export type ChoicesName = keyof ActionTexts['choices'];

/** What is typed into a field, and what the call gets. */
export type FieldKind =
  /** A text of one line. */
  | 'text'
  /** A text of several lines. */
  | 'long-text'
  /** A decimal string; with a decimal comma where people write one. */
  | 'amount'
  | 'whole'
  /** The id of a record. */
  | 'id'
  /** The ids of one record or of several, separated by spaces or commas. */
  | 'ids'
  | 'flag'
  | 'choice'
  /** A time in the time zone of the page, as a Date. */
  | 'time'
  /** A list of texts, one a line. */
  | 'lines'
  | 'email';

/** One field of the form of an action. */
export interface Field {
  /**
   * The name that the call's input has for it; with a dot for a field of a group, such as `referralCredit.amount`. A group is
   * given as a whole, or not at all.
   */
  readonly name: FieldName;
  readonly kind: FieldKind;
  readonly isRequired?: boolean;
  /** What the action is about. Once that is found, it is a fact of the page, and no field any more. */
  readonly isAbout?: boolean;
  /** The texts of the choices, for the kind `choice`, with their values. */
  readonly choices?: ChoicesName;
  /** The choices, where they are records. */
  readonly records?: (rewards: Rewards) => Promise<readonly { readonly id: number; readonly name: string }[]>;
  /** What an empty field of a change stands for. Default: null. */
  readonly empty?: '' | 'nothing';
  readonly maxLength?: number;
  /** What the field has at first. Default: nothing. */
  readonly suggest?: (settings: Settings) => string | Promise<string>;
}

/** The typed values of a form, by the names of its fields; groups are objects. The managers check them. */
export type Input = Readonly<Record<string, unknown>>;

/** What a call gets besides its input. */
export interface CallOptions {
  readonly by: string;
  readonly reason: string;
  readonly requestId: string;
  readonly manager: EntityManager;
}

/** What an action is about, as the page says it. */
export interface Subject {
  /** What is shown of each record that it is about. */
  readonly records: readonly (readonly SubjectFact[])[];
  /** The values of the fields at present, for a change. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** A fact of a subject: the name of a field of the record, and its value. */
export type SubjectFact = readonly [name: FieldName, value: unknown];

/** Where staff go after an action. */
export interface Outcome {
  readonly input: Input;
  /** The row that the call has kept in the audit; null if it has changed nothing. */
  readonly kept: ReferralAudit | null;
  readonly rewards: Rewards;
}

/**
 * One thing that staff do: the fields of its form, and the call that does it. What it is called, what it does and what to
 * know before it stand in `texts.actions.names`, under its name.
 */
export interface Action {
  readonly name: ActionName;
  /** The call, as the audit names it. Default: the name of the action. */
  readonly call?: string;
  /** Without the reason, which each form has. */
  readonly fields: readonly Field[];
  /**
   * Whether the call takes what to change: then only the fields that differ from what the form showed are given, so that what
   * somebody else has changed meanwhile stays.
   */
  readonly isChange?: boolean;
  /** Whether it can't be undone, or takes something from somebody. */
  readonly isGrave?: boolean;
  /** Whether it can take longer than a page may wait for the database. */
  readonly isLong?: boolean;
  /** Finds what the action is about. @throws ReferralError `NOT_FOUND`, and as the managers do. */
  readonly subject?: (rewards: Rewards, input: Input) => Promise<Subject>;
  /** Makes the call in the transaction that it is given. */
  readonly make?: (rewards: Rewards, input: Input, options: CallOptions) => Promise<unknown>;
  /**
   * Makes a call that takes no transaction, in the place of `make`. The preview says in words what it does, and staff do not
   * wait for its end.
   */
  readonly begin?: (rewards: Rewards, input: Input) => Promise<unknown>;
  /** The path below the mount path to go to afterwards. */
  readonly after: (outcome: Outcome) => string | Promise<string>;
}
