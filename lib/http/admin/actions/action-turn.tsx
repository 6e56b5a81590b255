import { randomUUID } from 'node:crypto';
import type { ComponentChildren, VNode } from 'preact';
import type { ReferralAudit } from '../../../entities/referral-audit';
import type { Once, Rehearsal } from '../../../rewards/rehearsals/rehearsals';
import { notFound } from '../../http-error';
import type { Choice } from '../../views/components';
import { type Answer, fieldText, type PageCall } from '../../views/page-router';
import type { View } from '../../views/view';
import type { Action, CallOptions, FieldName, Input, Subject } from './action';
import { ActionForm } from './action-form';
import type { ActionParts } from './action-parts';
import { ActionPreview } from './action-preview';
import { actions } from './actions';
import { doneUrl } from './done-notice';
import { inputOf, shownBefore, shownValue, type Typed, typedOf } from './form-input';
import { missingIn, type Problem, problemOf } from './problem';
import { maxChoices } from './shared-fields';

const keyPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Why a preview is shown: it was asked for, nobody has seen one, or something has changed since. */
type PreviewReason = 'asked' | 'unseen' | 'outdated';

/** One request for an action. */
export class Turn {
  readonly #parts: ActionParts;
  readonly #call: PageCall;
  readonly #action: Action;
  readonly #typed: Typed;
  readonly #input: Input;
  /** What the action is about, once it is found. */
  #subject: Subject | null = null;

  /** @throws HttpError 404 for an action that does not exist. */
  constructor(parts: ActionParts, call: PageCall) {
    const action = actions.get(call.params['action'] ?? '');
    if (!action) throw notFound();
    this.#parts = parts;
    this.#call = call;
    this.#action = action;
    this.#typed = typedOf(action, call.req.method === 'POST' ? call.fields : queryFields(call.view));
    this.#input = inputOf(action, this.#typed, call.view);
  }

  /** The form, filled from the query. */
  async form(): Promise<Answer> {
    const problem = await this.#findSubject();
    return this.#formPage(await this.#filled(), problem);
  }

  /** What the action would do. With the field `change`: the form again, with what was typed. */
  async preview(): Promise<Answer> {
    const problem = (await this.#findSubject()) ?? this.#missing();
    if (problem || fieldText(this.#call.fields, 'change') !== '') return this.#formPage(this.#typed, problem);
    return this.#previewPage('asked');
  }

  /** Does it, if it still does what the preview has shown, and goes to the page of what it was about. */
  async perform(): Promise<Answer> {
    const key = fieldText(this.#call.fields, 'key');
    const problem = (await this.#findSubject()) ?? this.#missing();
    const once = { by: this.#call.reader.id, requestId: key };
    // A form that has been sent already is answered like the first time, also if what it was about is gone by now.
    if (problem)
      return keyPattern.test(key) && (await this.#kept(once)) ? this.#goOn(once) : this.#formPage(this.#typed, problem);
    if (!keyPattern.test(key)) return this.#previewPage('unseen');
    try {
      const isDone = this.#action.begin ? await this.#begin(once) : await this.#make(once);
      return isDone ? await this.#goOn(once) : await this.#previewPage('outdated');
    } catch (error) {
      return (await this.#kept(once)) ? this.#goOn(once) : this.#refused(error);
    }
  }

  async #make(once: Once): Promise<boolean> {
    const { rehearsals } = this.#parts.rewards;
    const { isLong = false } = this.#action;
    const digest = fieldText(this.#call.fields, 'digest');
    const { status } = await rehearsals.perform((manager) => this.#work({ ...once, manager }), digest, {
      ...once,
      isLong,
    });
    return status !== 'changed';
  }

  /** Begins what takes longer than a page may; what becomes of it shows elsewhere. */
  async #begin(once: Once): Promise<boolean> {
    const { rewards, settings } = this.#parts;
    const { name, call = name, begin } = this.#action;
    const change = { call, subject: 'run', subjectId: once.requestId, before: null, after: this.#input };
    if (await rewards.rehearsals.begin(change, { ...once, reason: this.#reason }))
      void begin!(rewards, this.#input).catch(settings.onError);
    return true;
  }

  #work(options: Omit<CallOptions, 'reason'>): Promise<unknown> {
    return this.#action.make!(this.#parts.rewards, this.#input, { ...options, reason: this.#reason });
  }

  get #reason(): string {
    return (this.#typed['reason'] ?? '').trim();
  }

  get #words() {
    return this.#call.view.texts.admin.actions;
  }

  #missing(): Problem | null {
    return missingIn(this.#action, this.#typed, this.#words);
  }

  /** Finds what the action is about, if that is said. Returns what is wrong with it. */
  async #findSubject(): Promise<Problem | null> {
    const { subject, fields } = this.#action;
    const isSaid = fields.every(({ name, isAbout }) => !isAbout || (this.#typed[name] ?? '').trim() !== '');
    if (!subject || !isSaid) return null;
    try {
      this.#subject = await subject(this.#parts.rewards, this.#input);
      return null;
    } catch (error) {
      return this.#problem(error);
    }
  }

  /** @throws the error, if it is not about the form. */
  #problem(error: unknown): Problem {
    const said = { typed: this.#typed, subject: this.#subject, words: this.#words };
    const problem = problemOf(error, this.#action, said);
    if (!problem) throw error;
    if (problem.status === 503) {
      this.#parts.settings.onError(error);
      this.#call.res.set('Retry-After', '5');
    }
    return problem;
  }

  async #refused(error: unknown): Promise<Answer> {
    return this.#formPage(this.#typed, this.#problem(error));
  }

  /** What a form shows at first: what a record has, or what is suggested, and over that what the query says. */
  async #filled(): Promise<Typed> {
    const filled: Record<string, string> = { ...this.#shownBefore() };
    for (const { name, suggest } of this.#action.fields)
      if (suggest && this.#typed[name] === undefined) filled[name] = await suggest(this.#parts.settings);
    return { ...filled, ...this.#typed };
  }

  /** What the fields of a change show at first: what the form says that it showed, else what the record has. */
  #shownBefore(): Typed {
    const { isChange, fields } = this.#action;
    if (!isChange || this.#subject === null) return {};
    const values = this.#subject.values ?? {};
    return Object.fromEntries(
      fields
        .filter(({ isAbout }) => !isAbout)
        .map(({ name }) => [
          name,
          this.#typed[`${shownBefore}${name}`] ?? shownValue(values[name], this.#call.view.timeZone),
        ]),
    );
  }

  async #formPage(typed: Typed, problem: Problem | null): Promise<Answer> {
    const action = this.#action;
    const records = await this.#records();
    const state = { action, typed, before: this.#shownBefore(), subject: this.#subject, problem, records };
    return { status: problem?.status ?? 200, ...this.#page(this.#title, <ActionForm state={state} />) };
  }

  /** The choices of the fields that are records, of kinds of which there are few. */
  async #records(): Promise<ReadonlyMap<FieldName, readonly Choice[]>> {
    const found = new Map<FieldName, readonly Choice[]>();
    const known = new Map<unknown, readonly Choice[] | null>();
    for (const { name, records } of this.#action.fields) {
      if (!records) continue;
      if (!known.has(records)) known.set(records, await this.#choicesOf(records));
      const choices = known.get(records);
      if (choices) found.set(name, choices);
    }
    return found;
  }

  async #choicesOf(find: NonNullable<Action['fields'][number]['records']>): Promise<readonly Choice[] | null> {
    const records = await find(this.#parts.rewards);
    if (records.length > maxChoices) return null;
    return records.map(({ id, name }) => ({ value: String(id), label: name }));
  }

  async #previewPage(why: PreviewReason): Promise<Answer> {
    const key = randomUUID();
    const action = this.#action;
    let rehearsal: Rehearsal | null = null;
    try {
      const options = { by: this.#call.reader.id, requestId: key };
      if (action.make)
        rehearsal = await this.#parts.rewards.rehearsals.rehearse((manager) => this.#work({ ...options, manager }));
    } catch (error) {
      return this.#refused(error);
    }
    const state = {
      action,
      typed: this.#typed,
      subject: this.#subject,
      rehearsal,
      key,
      isOutdated: why === 'outdated',
    };
    const page = this.#page(this.#title, <ActionPreview state={state} />);
    return { status: why === 'asked' ? 200 : 409, ...page };
  }

  get #title(): string {
    return this.#words.names[this.#action.name].title;
  }

  #page(title: string, children: ComponentChildren): { page: VNode } {
    return { page: this.#parts.frame({ title, children }, this.#call) };
  }

  /** The row that the call has kept under its key; null if it has changed nothing. */
  async #kept({ by, requestId }: Once): Promise<ReferralAudit | null> {
    const { name, call = name } = this.#action;
    const where = { by, requestId };
    const rows = await this.#parts.rewards.managers.audit.search({ where, order: { id: 'ASC' }, take: 100 });
    return rows.find((row) => row.call === call) ?? rows[0] ?? null;
  }

  /** To the page of what the action was about, which says that it is done. */
  async #goOn(once: Once): Promise<Answer> {
    const kept = await this.#kept(once);
    const path = await this.#action.after({ input: this.#input, kept, rewards: this.#parts.rewards });
    return { goTo: doneUrl(this.#call.view.url(path), kept && this.#action.name) };
  }
}

/** The parameters of a query; one that is there several times as a list. */
function queryFields({ query }: View): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)]));
}
