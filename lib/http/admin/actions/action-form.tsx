import type { ComponentChildren } from 'preact';
import {
  Button,
  type Choice,
  Facts,
  Field as Input,
  type FieldProps,
  Form,
  Hidden,
  Notice,
  Section,
  Table,
} from '../../views/components';
import { useView, type View } from '../../views/view';
import type { Action, Field, FieldKind, FieldName, Subject, SubjectFact } from './action';
import { actionUrl } from './action-url';
import { shownBefore, type Typed } from './form-input';
import type { FieldProblem, Problem } from './problem';
import { Shown } from './shown';

/** What a form shows. */
export interface FormState {
  readonly action: Action;
  readonly typed: Typed;
  /** What the fields showed at first, for a change. */
  readonly before: Typed;
  /** Null as long as nobody has said what the action is about. */
  readonly subject: Subject | null;
  readonly problem: Problem | null;
  /** The choices of fields that are records. */
  readonly records: ReadonlyMap<FieldName, readonly Choice[]>;
}

/** The form of an action: what it does, what it is about, its fields and the reason. */
export function ActionForm({ state }: { state: FormState }) {
  const view = useView();
  const { action, subject, problem } = state;
  const { flow, names, sections } = view.texts.admin.actions;
  const { does, warning } = names[action.name];
  // A change shows its fields once it is known what they are.
  const asksFirst = action.isChange === true && subject === null;
  return (
    <>
      <p class="rf-lead">{does}</p>
      {warning !== '' && <Notice tone="wait">{warning}</Notice>}
      {problem && <Notice tone="bad">{problem.general ? <Said problem={problem.general} /> : flow.wrongInput}</Notice>}
      {subject && <About action={action} typed={state.typed} subject={subject} />}
      {asksFirst ? (
        <Section>
          <Form method="get" action={actionUrl(view, action.name)}>
            <Fields state={state} fields={action.fields.filter(({ isAbout }) => isAbout)} />
            <Button tone="main">{flow.choose}</Button>
          </Form>
        </Section>
      ) : (
        <Form action={`${actionUrl(view, action.name)}/preview`}>
          <HiddenFields state={state} />
          {sectionsOf(state).map(([part, fields]) => (
            <Section key={part} {...(part !== '' && { title: sections[part] })}>
              {fields}
            </Section>
          ))}
          <Section>
            <Input
              name="reason"
              type="textarea"
              label={flow.reason}
              hint={flow.reasonHint}
              value={state.typed['reason']}
              error={errorOf(problem, 'reason')}
              isRequired
              maxLength={500}
            />
            <Button tone="main">{flow.preview}</Button>
          </Section>
        </Form>
      )}
    </>
  );
}

/** What a call has said: in plain words, and in its own. */
function Said({ problem: { message, detail } }: { problem: FieldProblem }) {
  return (
    <>
      {message}
      {detail !== null && (
        <>
          {' '}
          <small lang="en">{detail}</small>
        </>
      )}
    </>
  );
}

function errorOf(problem: Problem | null, name: string): string | null {
  const found = problem?.fields.get(name);
  if (!found) return null;
  return found.detail === null ? found.message : `${found.message} (${found.detail})`;
}

/** What the action is about, once that is known. */
export function About({ action, typed, subject }: { action: Action; typed: Typed; subject: Subject }) {
  const { fields, flow } = useView().texts.admin.actions;
  const { records } = subject;
  const [first = []] = records;
  const named = action.fields
    .filter(({ isAbout }) => isAbout)
    .map(({ name }) => ({ name: fields[name].label, value: typed[name] ?? '' }));
  return (
    <Section title={flow.about}>
      <Facts
        facts={[
          ...named,
          ...(records.length === 1 ? first : []).map(([name, value]) => ({
            name: fields[name].label,
            value: <Shown name={name} value={value} />,
          })),
        ]}
      />
      {records.length > 1 && (
        <Table
          caption={flow.about}
          rows={records}
          columns={first.map(([name], place) => ({
            key: name,
            title: fields[name].label,
            cell: (record: readonly SubjectFact[]) => <Shown name={name} value={record[place]![1]} />,
          }))}
        />
      )}
    </Section>
  );
}

/** What the form knows and nobody types: what it is about, and what the fields of a change showed at first. */
function HiddenFields({ state: { action, typed, before, subject } }: { state: FormState }) {
  return (
    <>
      {action.fields
        .filter(({ isAbout }) => isAbout && subject !== null)
        .map(({ name }) => (
          <Hidden key={name} name={name} value={typed[name] ?? ''} />
        ))}
      {action.isChange &&
        Object.entries(before).map(([name, value]) => (
          <Hidden key={name} name={`${shownBefore}${name}`} value={value} />
        ))}
    </>
  );
}

type Part = keyof ActionWords['sections'];

/** The part of a long form in which a field stands. */
const sectionOfFields: Partial<Record<string, Part>> = {
  ...{ referralCredit: 'referralCredit', rewardCredit: 'rewardCredit', rewardLimit: 'rewardCredit' },
  ...{ beforeRewardUsageThreshold: 'rewardCredit', commission: 'commission' },
  ...{ promoType: 'discount', promoValue: 'discount', isRecurring: 'discount' },
  ...{ minimumAmount: 'limits', firstPurchaseOnly: 'limits', products: 'limits', restoreOnRefund: 'limits' },
  ...{ maxRedemptions: 'limits', startDate: 'limits', endDate: 'limits', description: 'limits' },
  ...{ initialRate: 'commission', ongoingRate: 'commission', initialRatePeriodDays: 'commission' },
  ...{ maxEarningsPerReferred: 'commission', allowedUses: 'limits' },
};

/** The fields of a form, in its parts. A short form has one. */
function sectionsOf(state: FormState): readonly (readonly [part: Part | '', fields: ComponentChildren])[] {
  const { action, subject } = state;
  const isKnown = ({ isAbout }: Field): boolean => isAbout === true && subject !== null;
  const open = action.fields.filter((field) => !isKnown(field));
  const isLong = open.some(({ name }) => name.startsWith('commission.') || name === 'promoType');
  const partOf = ({ name }: Field): Part | undefined => (isLong ? sectionOfFields[name.split('.')[0]!] : undefined);
  const parts = [...new Set(open.map(partOf))];
  return parts.map((part) => [
    part ?? '',
    <Fields key={part} state={state} fields={open.filter((field) => partOf(field) === part)} />,
  ]);
}

function Fields({ state, fields }: { state: FormState; fields: readonly Field[] }) {
  return (
    <>
      {fields.map((field) => (
        <Input key={field.name} {...inputOf(state, field, useView().texts.admin.actions)} />
      ))}
    </>
  );
}

type ActionWords = View['texts']['admin']['actions'];

/** The input of each kind of field. */
const inputs: Readonly<Record<FieldKind, Pick<FieldProps, 'type' | 'inputMode'>>> = {
  'text': {},
  'long-text': { type: 'textarea' },
  'amount': { inputMode: 'decimal' },
  'whole': { inputMode: 'numeric' },
  'id': { inputMode: 'numeric' },
  'ids': {},
  'flag': { type: 'checkbox' },
  'choice': { type: 'radio' },
  'time': { type: 'datetime-local' },
  'lines': { type: 'textarea' },
  'email': { type: 'email', inputMode: 'email' },
};

function inputOf({ action, typed, problem, records }: FormState, field: Field, words: ActionWords): FieldProps {
  const { name, kind, isRequired = false, maxLength } = field;
  const { label, hint } = words.fields[name];
  const choices = choicesOf(field, records, words);
  const shared = {
    ...{ name, label, isRequired, value: typed[name], error: errorOf(problem, name) },
    hint: hint === '' || (action.isChange && field.isAbout) ? undefined : hint,
    ...(maxLength !== undefined && { maxLength }),
  };
  if (choices === null) return { ...shared, ...inputs[kind] };
  // A list with an empty choice is a select; without one, something has to be chosen, or is chosen already.
  return { ...shared, choices, type: choices.some(({ value }) => value === '') ? 'select' : 'radio' };
}

/** The choices of a field; null for one without. */
function choicesOf(field: Field, records: FormState['records'], words: ActionWords): readonly Choice[] | null {
  if (field.choices) return Object.entries(words.choices[field.choices]).map(([value, label]) => ({ value, label }));
  const found = records.get(field.name);
  return found ? [{ value: '', label: '–' }, ...found] : null;
}
