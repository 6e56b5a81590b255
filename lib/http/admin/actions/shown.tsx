import { Code, Money, None, When } from '../../views/components';
import { useView } from '../../views/view';

/** The fields of records that are amounts of the program's currency. */
const money = new Set([
  ...['amount', 'earned', 'initialBalance', 'currentBalance', 'minimum', 'totalCommission', 'totalRevenue'],
  ...['referralCreditAmount', 'rewardCreditAmount', 'beforeRewardUsageThreshold', 'minimumAmount'],
  ...['commissionAmount', 'commissionMaxPerReferee', 'commissionSignup', 'commissionMaxPerReferrer'],
  ...['maxEarningsPerReferred', 'credit', 'creditsEarned', 'payoutsEarned'],
]);

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const decimal = /^-?\d{1,18}(\.\d{1,4})?$/;

/** A value of a record, or of the audit, as staff read it. */
export function Shown({ name, value }: { name: string; value: unknown }) {
  const { flow, choices } = useView().texts.admin.actions;
  if (value === null || value === undefined || value === '') return <None />;
  if (value === true) return <>{flow.yes}</>;
  if (value === false) return <>{flow.no}</>;
  if (name === 'mode' && (value === 'credits' || value === 'payout')) return <>{choices.mode[value]}</>;
  if (value instanceof Date) return <When time={value} isExact />;
  if (typeof value === 'string' && isoTime.test(value)) return <When time={new Date(value)} isExact />;
  if (typeof value === 'string' && money.has(name) && decimal.test(value)) return <Money amount={value} />;
  if (typeof value === 'string' || typeof value === 'number') return <>{value}</>;
  if (Array.isArray(value) && value.length === 0) return <None />;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return <>{value.join(', ')}</>;
  return <Code>{JSON.stringify(value)}</Code>;
}
