import type { ReferralAudit } from '../../../entities/referral-audit';
import type { Rehearsal } from '../../../rewards/rehearsals/rehearsals';
import { Button, Facts, Form, Hidden, Notice, Section, Table } from '../../views/components';
import { formatNumber } from '../../views/formats';
import { useView, type View } from '../../views/view';
import type { Action, Field, FieldName, Subject } from './action';
import { About } from './action-form';
import { actionUrl } from './action-url';
import { actions } from './actions';
import { shownBefore, type Typed } from './form-input';
import { columnsOfFields } from './shared-fields';
import { Shown } from './shown';

/** What a preview shows. */
export interface PreviewState {
  readonly action: Action;
  readonly typed: Typed;
  readonly subject: Subject | null;
  /** What the call would do; null for one that can only be said in words. */
  readonly rehearsal: Rehearsal | null;
  /** What the form is sent under: the same twice does nothing more. */
  readonly key: string;
  /** Whether it would do something else than what was shown before. */
  readonly isOutdated: boolean;
}

/** How many changed fields are shown. */
const maxRows = 60;

/** What an action would do, and the buttons to do it and to change it. */
export function ActionPreview({ state }: { state: PreviewState }) {
  const view = useView();
  const { action, typed, subject, rehearsal, key, isOutdated } = state;
  const { flow, names } = view.texts.admin.actions;
  const { does, warning } = names[action.name];
  const url = actionUrl(view, action.name);
  const sent = Object.entries(typed).map(([name, value]) => <Hidden key={name} name={name} value={value} />);
  return (
    <>
      {isOutdated && <Notice tone="wait">{flow.outdated}</Notice>}
      <p class="rf-lead">{does}</p>
      {subject && <About action={action} typed={typed} subject={subject} />}
      <Entered action={action} typed={typed} isKnown={subject !== null} />
      {rehearsal === null ? <p>{flow.inWords}</p> : <Changes rehearsal={rehearsal} />}
      {rehearsal !== null && rehearsal.figures.length > 0 && <Money rehearsal={rehearsal} />}
      {warning !== '' && <Notice tone="wait">{warning}</Notice>}
      <div class="rf-actions">
        <Form action={url} isInline>
          {sent}
          <Hidden name="key" value={key} />
          <Hidden name="digest" value={rehearsal?.digest ?? ''} />
          <Button tone={action.isGrave ? 'bad' : 'main'}>{flow.confirm}</Button>
        </Form>
        <Form action={`${url}/preview`} isInline>
          {sent}
          <Hidden name="change" value="yes" />
          <Button>{flow.change}</Button>
        </Form>
      </div>
    </>
  );
}

/** What was typed. */
function Entered({ action, typed, isKnown }: { action: Action; typed: Typed; isKnown: boolean }) {
  const view = useView();
  const { fields, flow, choices } = view.texts.admin.actions;
  const shownOf = ({ name, kind, choices: list }: Field): string => {
    const text = typed[name] ?? '';
    if (kind === 'flag') return text === '' ? flow.no : flow.yes;
    const labels: Readonly<Record<string, string>> = list ? choices[list] : {};
    return labels[text] ?? (text === '' ? flow.none : kind === 'time' ? text.replace('T', ' ') : text);
  };
  const isEntered = ({ name, isAbout }: Field): boolean => {
    if (isAbout && isKnown) return false;
    const text = typed[name] ?? '';
    return action.isChange ? text !== (typed[`${shownBefore}${name}`] ?? '') : text !== '';
  };
  const entered = action.fields.filter(isEntered).map((field) => ({
    name: fields[field.name].label,
    value: shownOf(field),
  }));
  return (
    <Section title={flow.form}>
      <Facts facts={[...entered, { name: flow.reason, value: typed['reason'] ?? '' }]} />
    </Section>
  );
}

interface Row {
  change: ReferralAudit;
  name: string;
}

/** What the call would keep in the audit: a row for each field. */
function Changes({ rehearsal: { changes } }: { rehearsal: Rehearsal }) {
  const view = useView();
  const { flow } = view.texts.admin.actions;
  const rows = changes.flatMap(rowsOf);
  if (rows.length === 0) return <Notice>{flow.nothing}</Notice>;
  return (
    <Section title={flow.changes}>
      <Table
        caption={flow.changes}
        rows={rows.slice(0, maxRows)}
        columns={[
          { key: 'what', title: flow.what, cell: ({ change, name }) => <What change={change} name={name} /> },
          {
            key: 'before',
            title: flow.before,
            cell: ({ change, name }) => <Side change={change} name={name} side="before" />,
          },
          {
            key: 'after',
            title: flow.after,
            cell: ({ change, name }) => <Side change={change} name={name} side="after" />,
          },
        ]}
      />
      {rows.length > maxRows && <p>{flow.moreChanges(formatNumber(view, rows.length - maxRows))}</p>}
    </Section>
  );
}

/** The fields that a change is about: of what is new or deleted, those with a value. */
function rowsOf(change: ReferralAudit): Row[] {
  const { before, after } = change;
  const isWhole = before === null || after === null;
  const values = { ...before, ...after };
  const names = Object.keys(values).filter((name) => !isWhole || !isPlain(name, values[name]));
  return names.map((name) => ({ change, name }));
}

/** Whether a field of what is new says nothing: it is empty, or a number that nobody knows yet. */
function isPlain(name: string, value: unknown): boolean {
  const isEmpty = value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0);
  return isEmpty || ['id', 'firstId', 'lastId', 'createdAt', 'updatedAt'].includes(name);
}

function What({ change, name }: Row) {
  const { texts } = useView();
  const { call, subject, subjectId, userId, before } = change;
  // An id of what is new is used up by the preview, so it says nothing.
  const whose = [before === null ? null : `${subject} ${subjectId}`, userId]
    .filter((part) => part !== null)
    .join(' · ');
  return (
    <>
      {propertyLabel(texts, name)}
      <small class="rf-under">
        {titleOfCall(texts, call)}
        {whose !== '' && ` · ${whose}`}
      </small>
    </>
  );
}

function Side({ change, name, side }: Row & { side: 'before' | 'after' }) {
  const { flow } = useView().texts.admin.actions;
  const values = change[side];
  if (values === null) return <>{side === 'before' ? flow.new : flow.deleted}</>;
  return <Shown name={name} value={values[name]} />;
}

/** What the users have whose money it is, before and after. */
function Money({ rehearsal: { figures, moreUsers } }: { rehearsal: Rehearsal }) {
  const view = useView();
  const { flow } = view.texts.admin.actions;
  const names = ['credit', 'creditsEarned', 'payoutsEarned', 'totalCreditsEarned', 'totalPayoutsEarned'] as const;
  const labels = {
    ...{ credit: flow.credit, creditsEarned: flow.creditsEarned, payoutsEarned: flow.payoutsEarned },
    ...{ totalCreditsEarned: flow.totalCreditsEarned, totalPayoutsEarned: flow.totalPayoutsEarned },
  };
  const isShown = (before: string, after: string): boolean => before !== after || Number(before) !== 0;
  const rows = figures.flatMap(({ before, after }) =>
    names
      .filter((name) => isShown(before[name], after[name]))
      .map((name) => ({ user: after.user, name, before: before[name], after: after[name] })),
  );
  if (rows.length === 0) return null;
  return (
    <Section title={flow.money}>
      <Table
        caption={flow.money}
        rows={rows}
        columns={[
          { key: 'user', title: flow.user, cell: ({ user }) => user },
          { key: 'what', title: flow.what, cell: ({ name }) => labels[name] },
          {
            key: 'before',
            title: flow.before,
            align: 'end',
            cell: ({ before }) => <Shown name="amount" value={before} />,
          },
          { key: 'after', title: flow.after, align: 'end', cell: ({ after }) => <Shown name="amount" value={after} /> },
        ]}
      />
      {moreUsers > 0 && <p>{flow.moreUsers(formatNumber(view, moreUsers))}</p>}
    </Section>
  );
}

const fieldsOfColumns = new Map(Object.entries(columnsOfFields).map(([field, column]) => [column, field as FieldName]));

/** What staff call a field of a record; its own name, if the pages have none for it. */
function propertyLabel({ admin }: View['texts'], name: string): string {
  const { fields } = admin.actions;
  const field = fieldsOfColumns.get(name) ?? name;
  return Object.hasOwn(fields, field) ? fields[field as FieldName].label : name;
}

/** What staff call a call of the audit. */
export function titleOfCall({ admin }: View['texts'], call: string): string {
  const action = [...actions.values()].find((one) => (one.call ?? one.name) === call);
  return action ? admin.actions.names[action.name].title : call;
}
