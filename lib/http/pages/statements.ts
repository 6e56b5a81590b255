import type { Settings } from '../../options';
import type { Figures } from '../../rewards/figures/figures';
import type { StatementKind, Statements } from '../../types/figures';
import type { CsvColumn, CsvFile } from '../views/csv';
import type { Texts } from '../views/texts/texts';
import { linkUrl, type NameOf } from './pages-data';

/** A row with the name of the friend it is about. */
type With<Row> = Row & { readonly friend: string | null };

type Columns<Row> = readonly CsvColumn<With<Row>>[];

/** The columns of each statement. Amounts and times are as programs read them. */
function columnsOf(texts: Texts, settings: Settings): { readonly [Kind in StatementKind]: Columns<Statements[Kind]> } {
  const { csv, figures, links, coupons, friends, credits, commissions, payouts } = texts;
  const column = <Row>(title: string, value: CsvColumn<With<Row>>['value']): CsvColumn<With<Row>> => ({ title, value });
  return {
    days: [
      column(csv.day, ({ day }) => day),
      column(figures.clicks, ({ clicks }) => clicks),
      column(figures.visitors, ({ visitors }) => visitors),
      column(figures.signups, ({ signups }) => signups),
      column(figures.customers, ({ customers }) => customers),
      column(figures.earned, ({ earned }) => earned),
    ],
    links: [
      column(csv.url, ({ code }) => linkUrl(settings, code)),
      column(csv.label, ({ label }) => label),
      column(links.destination, ({ redirectTo }) => redirectTo),
      column(links.since, ({ createdAt }) => createdAt),
      column(csv.expiredAt, ({ expiredAt }) => expiredAt),
      column(figures.clicks, ({ clicks }) => clicks),
      column(figures.visitors, ({ visitors }) => visitors),
      column(figures.signups, ({ signups }) => signups),
    ],
    coupons: [
      column(coupons.coupon, ({ code }) => code),
      column(csv.description, ({ description }) => description),
      column(csv.type, ({ promoType }) => promoType),
      column(csv.value, ({ promoValue }) => promoValue),
      column(coupons.state, ({ state }) => coupons.states[state]),
      column(coupons.from, ({ startDate }) => startDate),
      column(coupons.until, ({ endDate }) => endDate),
      column(coupons.uses, ({ uses }) => uses),
      column(csv.maxUses, ({ maxUses }) => maxUses),
      column(coupons.revenue, ({ revenue }) => revenue),
      column(figures.earned, ({ earned }) => earned),
    ],
    friends: [
      column(friends.friend, ({ friend }) => friend),
      column(friends.since, ({ since }) => since),
      column(friends.state, ({ state }) => (state === 'customer' ? friends.customer : friends.signedUp)),
      column(csv.customerSince, ({ customerSince }) => customerSince),
      column(csv.used, ({ usage }) => usage?.recorded),
      column(csv.needed, ({ usage }) => usage?.threshold),
      column(friends.reward, ({ reward }) => reward?.amount),
      column(csv.creditAt, ({ reward }) => reward?.at),
      column(figures.earned, ({ earned }) => earned),
    ],
    credits: [
      column(csv.id, ({ id }) => id),
      column(credits.credit, ({ kind }) => credits.kinds[kind]),
      column(friends.friend, ({ friend }) => friend),
      column(credits.state, ({ state }) => credits.states[state]),
      column(coupons.from, ({ from }) => from),
      column(credits.until, ({ until }) => until),
      column(credits.initial, ({ initial }) => initial),
      column(credits.left, ({ left }) => left),
    ],
    entries: [
      column(csv.id, ({ id }) => id),
      column(csv.credit, ({ creditId }) => creditId),
      column(credits.when, ({ createdAt }) => createdAt),
      column(credits.what, ({ kind }) => credits.entryKinds[kind]),
      column(credits.description, ({ description }) => description),
      column(credits.amount, ({ value }) => value),
    ],
    commissions: [
      column(csv.id, ({ id }) => id),
      column(commissions.when, ({ createdAt }) => createdAt),
      column(commissions.what, ({ kind, friend }) => commissions.kinds[kind](friend ?? friends.someone)),
      column(commissions.code, ({ code }) => code),
      column(commissions.status, ({ status }) => commissions.statuses[status]),
      column(csv.availableAt, ({ availableAt }) => availableAt),
      column(csv.paidAt, ({ paidAt }) => paidAt),
      column(csv.paidAs, ({ mode }) => texts.settings.modes[mode]),
      column(commissions.earned, ({ earned }) => earned),
      column(commissions.left, ({ amount }) => amount),
    ],
    adjustments: [
      column(csv.id, ({ id }) => id),
      column(commissions.when, ({ createdAt }) => createdAt),
      column(commissions.reason, ({ reason }) => reason),
      column(csv.paidAs, ({ mode }) => texts.settings.modes[mode]),
      column(commissions.amount, ({ amount }) => amount),
    ],
    payouts: [
      column(csv.id, ({ id }) => id),
      column(payouts.when, ({ createdAt }) => createdAt),
      column(csv.paidAs, ({ mode }) => texts.settings.modes[mode]),
      column(csv.address, ({ address }) => address),
      column(payouts.status, ({ status, isWaiting }) => (isWaiting ? payouts.waiting : payouts.statuses[status])),
      column(commissions.reason, ({ reason }) => reason),
      column(csv.settledAt, ({ settledAt }) => settledAt),
      column(payouts.items, ({ commissions: count }) => count),
      column(payouts.amount, ({ amount }) => amount),
    ],
  };
}

/** The kinds of statements, in the order of the pages. */
export const statementKinds: readonly StatementKind[] = [
  ...(['days', 'links', 'coupons', 'friends', 'credits', 'entries', 'commissions', 'adjustments', 'payouts'] as const),
];

/** Returns a whole list of a user's as a file. */
export function statementFile(
  { figures, settings }: { figures: Figures; settings: Settings },
  kind: StatementKind,
  user: string,
  nameOf: NameOf,
  texts: Texts,
): CsvFile<unknown> {
  const file = {
    name: `referrals-${kind}`,
    columns: columnsOf(texts, settings)[kind],
    rows: named(figures.statement(user, kind), nameOf),
  };
  return file;
}

/** Adds the names of friends, as the rows are read. */
async function* named<Row extends object>(rows: AsyncIterable<Row>, nameOf: NameOf): AsyncGenerator<With<Row>> {
  for await (const row of rows) {
    const { friendId, since, id } = row as { friendId?: string | null; since?: Date; id?: string };
    const friend = friendId ?? (since === undefined ? null : (id ?? null)); // a row of `friends` is about `id` itself
    yield { ...row, friend: friend === null ? null : await nameOf(friend) };
  }
}
