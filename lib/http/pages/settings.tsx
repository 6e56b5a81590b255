import { ReferralError } from '../../errors';
import { isEmail } from '../../input';
import type { EarningMode } from '../../types/earn-outs';
import type { OwnSettings } from '../../types/figures';
import { Button, Facts, Field, Form, Money, Notice, Section } from '../views/components';
import { formatTime } from '../views/formats';
import { fieldText } from '../views/page-router';
import { useView } from '../views/view';
import { type Refused, type ScreenCall, screen } from './screen';

interface SettingsData extends OwnSettings {
  refused: Refused | null;
}

type Update = (
  user: string,
  account: number,
  changes: { mode: EarningMode; payoutEmail: string | null },
) => Promise<unknown>;

/** How the user is paid, and where to. */
export const settings = (update: Update) =>
  screen<SettingsData>({
    name: 'settings',
    path: '/settings',
    title: ({ settings: { title } }) => title,
    load: async ({ reader }, refused) => ({ ...(await reader.data.settings()), refused }),
    submit: (call) => change(call, update),
    Body: SettingsForm,
  });

async function change({ fields, reader, view }: ScreenCall, update: Update): Promise<{ goTo: string } | Refused> {
  const { settings: words } = view.texts;
  const { accountId, modes, mode: before } = await reader.data.settings();
  const typed = { mode: fieldText(fields, 'mode') || before, address: fieldText(fields, 'address').trim() };
  const mode = modes.find((one) => one === typed.mode);
  if (mode === undefined) return { typed, errors: { mode: words.modeWrong } };
  if (typed.address !== '' && !isEmail(typed.address)) return { typed, errors: { address: words.addressWrong } };
  if (mode === 'payout' && typed.address === '') return { typed, errors: { address: words.addressMissing } };
  try {
    await update(reader.id, accountId, { mode, payoutEmail: typed.address === '' ? null : typed.address });
  } catch (error) {
    const field = error instanceof ReferralError && error.code === 'INVALID_INPUT' ? error.field : undefined;
    if (field === 'payoutEmail') return { typed, errors: { address: words.addressWrong } };
    if (field === 'mode') return { typed, errors: { mode: words.modeWrong } };
    throw error;
  }
  return { goTo: view.url('/settings', { done: 'settings-saved' }) };
}

function SettingsForm({ data }: { data: SettingsData }) {
  const view = useView();
  const { settings: words } = view.texts;
  const { mode, modes, payoutEmail, addressHeldUntil, addressHoldDays, minimum, refused } = data;
  return (
    <>
      {addressHeldUntil && <Notice tone="wait">{words.addressHeld(formatTime(view, addressHeldUntil))}</Notice>}
      <Section title={words.howPaid}>
        <Form action={view.url('/settings')}>
          <Field
            name="mode"
            type="radio"
            label={words.mode}
            value={refused?.typed['mode'] ?? mode}
            error={refused?.errors['mode']}
            choices={modes.map((one) => ({ value: one, label: words.modes[one] }))}
            isRequired
          />
          <Field
            name="address"
            type="email"
            label={words.address}
            hint={
              addressHoldDays > 0 ? `${words.addressHint} ${words.addressHold(addressHoldDays)}` : words.addressHint
            }
            value={refused?.typed['address'] ?? payoutEmail}
            error={refused?.errors['address']}
            autoComplete="email"
            maxLength={254}
          />
          <Button tone="main">{words.save}</Button>
        </Form>
      </Section>
      <Section title={words.goodToKnow}>
        <Facts facts={[{ name: words.minimum, value: <Money amount={minimum} /> }]} />
      </Section>
    </>
  );
}
