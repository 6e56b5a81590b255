import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { dayMs } from '../../limits';
import type { Counted, CountedDay, FigureDays, Overview } from '../../types/figures';
import { bookedDays } from './booked-days';
import { closableUntil, closedUntil, type DayClosing, nothingClosed } from './day-closing';

/** The figures of a period. */
type PeriodFigures = Pick<Overview, 'figures' | 'series'>;
type Unit = PeriodFigures['series']['unit'];

interface DaysParameters {
  user: string;
  now: Date;
  /** The day before which days can be closed. */
  closable: string;
  /** The day from which on rows are read themselves: a value, so that PostgreSQL knows how few they are. */
  since: string;
  /** The first and the last day; null for any. */
  from: string | null;
  until: string | null;
}

/** The sums of a day or a month; of the whole period if the day is null. Columns of `bigint` and `numeric` are texts. */
interface DayRow {
  day: string | null;
  clicks: string;
  visitors: string;
  signups: string;
  customers: string;
  earned: string;
  /** How many rows of days that could be closed were read. */
  walked: string;
}

/** The row of the whole period also says until when days are closed, and of which links clicks are to be added. */
interface TotalRow extends DayRow {
  closedUntil: string;
  links: string[] | null;
}

interface ClickParameters {
  links: readonly string[];
  since: string;
  until: string | null;
  closable: string;
}

type ClickRow = Pick<DayRow, 'day' | 'clicks' | 'visitors'> & { walked: string };

const nothing: Omit<DayRow, 'day'> = {
  clicks: '0',
  visitors: '0',
  signups: '0',
  customers: '0',
  earned: '0',
  walked: '0',
};

/**
 * Reads what was counted for a user by UTC day: of closed days what is summed, and of the others the rows themselves. So it is
 * exact at any time, and costs as much as the days that are not closed yet.
 */
export class UserDays {
  readonly #database: Database;
  readonly #closing: DayClosing;
  readonly #books: Record<Unit, Statement<DaysParameters>>;
  readonly #clicks: Record<Unit, Statement<ClickParameters>>;

  constructor(database: Database, closing: DayClosing) {
    this.#database = database;
    this.#closing = closing;
    const both = <P extends object>(write: (unit: Unit) => Statement<P>): Record<Unit, Statement<P>> => ({
      day: database.prepared(write('day')),
      month: database.prepared(write('month')),
    });
    this.#books = both((unit) => bookStatement(database, unit));
    this.#clicks = both((unit) => clickStatement(database, unit));
  }

  /**
   * Returns the figures of the last days before a time, that day included; null for all time.
   *
   * @param closed until when the caller has found days closed.
   */
  async figures(user: string, days: FigureDays, now: Date, closed: string): Promise<PeriodFigures> {
    const unit = days === null ? 'month' : 'day';
    const today = dayOf(now);
    const from = days === null ? null : dayOf(new Date(now.getTime() - (days - 1) * dayMs));
    const byDay = await this.#read(unit, { user, now, from, until: days === null ? null : today }, closed);
    const counted = [...byDay.keys()].flatMap((day) => day ?? []).sort();
    const first = from ?? counted[0] ?? startOf(today, unit);
    const last = [today, ...counted].sort().at(-1)!;
    const series: CountedDay[] = [];
    for (let day = first; day <= last; day = after(day, unit))
      series.push({ day, ...(byDay.get(day) ?? this.#shown(nothing)) });
    return { figures: byDay.get(null)!, series: { unit, rows: series } };
  }

  /** Returns all days with anything, newest first. */
  async all(user: string, now: Date): Promise<CountedDay[]> {
    const byDay = await this.#read('day', { user, now, from: null, until: null }, nothingClosed);
    const days = [...byDay].flatMap(([day, counted]) => (day === null ? [] : { day, ...counted }));
    return days.sort((a, b) => (a.day < b.day ? 1 : -1));
  }

  /** Returns the sums by day or month, and those of the whole period for null. */
  async #read(
    unit: Unit,
    given: Omit<DaysParameters, 'closable' | 'since'>,
    closed: string,
  ): Promise<Map<string | null, Counted>> {
    const { user, now, until } = given;
    const closable = closableUntil(now);
    const since = given.from !== null && (closed === nothingClosed || given.from > closed) ? given.from : closed;
    const booked = await this.#database.query<DayRow>(this.#books[unit].with({ ...given, since, closable }));
    const byDay = new Map(booked.map((row) => [row.day, this.#shown(row)]));
    const total = booked.find(({ day }) => day === null) as TotalRow;
    // Somebody has closed or opened days in the meantime.
    if (total.closedUntil !== closed) return this.#read(unit, given, total.closedUntil);
    const { links } = total;
    // A statement of its own, because the counts may be on other nodes.
    const clicks = await this.#database.query<ClickRow>(
      this.#clicks[unit].with({ links: links ?? [], since, until, closable }),
    );
    for (const row of clicks) {
      const counted = byDay.get(row.day) ?? this.#shown(nothing);
      byDay.set(row.day, {
        ...counted,
        clicks: counted.clicks + Number(row.clicks ?? 0),
        visitors: counted.visitors + Number(row.visitors ?? 0),
      });
    }
    const walked = Number(total.walked) + Number(clicks.find(({ day }) => day === null)?.walked ?? 0);
    await this.#closing.noteWalked(user, now, walked);
    return byDay;
  }

  #shown({ clicks, visitors, signups, customers, earned }: Omit<DayRow, 'day'>): Counted {
    return {
      ...{ clicks: Number(clicks), visitors: Number(visitors), signups: Number(signups), customers: Number(customers) },
      earned: this.#database.shown(earned),
    };
  }
}

/** SQL: the start of the unit in which a day is, as text. */
const bucket = (day: string, unit: Unit): string => `to_char(date_trunc('${unit}', ${day}::timestamp), 'YYYY-MM-DD')`;

function bookStatement({ tables }: Database, unit: Unit): Statement<DaysParameters> {
  const { userDays, referrals } = tables;
  return statement<DaysParameters>(
    { user: true, now: true, closable: true, since: true, from: true, until: true },
    ($) => `
        WITH
        -- The sums of closed days, and the rows of the others.
        counted AS (
          SELECT day, clicks, visitors, signups, customers, earned, false AS is_read FROM ${userDays}
          WHERE user_id = ${$.user} AND day >= coalesce(${$.from}::date, '-infinity') AND day < ${$.since}::date
          UNION ALL
          SELECT day, 0, 0, signups, customers, earned, true
          FROM (${bookedDays(tables, { user: `${$.user}::varchar`, time: `(${$.since}::timestamp AT TIME ZONE 'UTC')` })}) AS booked
        )
        SELECT ${bucket('day', unit)} AS day, coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors,
          coalesce(sum(signups), 0) AS signups, coalesce(sum(customers), 0) AS customers, coalesce(sum(earned), 0) AS earned,
          count(*) FILTER (WHERE is_read AND day < ${$.closable}::date) AS walked, coalesce(${closedUntil(tables, $.user, $.now)}, '${nothingClosed}') AS "closedUntil",
          CASE WHEN grouping(${bucket('day', unit)}) = 1
            THEN (SELECT array_agg(id) FROM ${referrals} WHERE user_id = ${$.user}) END AS links
        FROM counted WHERE (day <= ${$.until}::date) IS NOT FALSE
        GROUP BY GROUPING SETS ((${bucket('day', unit)}), ())`,
  );
}

function clickStatement({ tables }: Database, unit: Unit): Statement<ClickParameters> {
  return statement<ClickParameters>(
    { links: true, since: true, until: true, closable: true },
    ($) => `
        SELECT ${bucket('day', unit)} AS day, sum(clicks) AS clicks, sum(visitors) AS visitors,
          count(*) FILTER (WHERE day < ${$.closable}::date) AS walked
        FROM ${tables.dailyCounts}
        WHERE referral_id = ANY(${$.links}::bigint[]) AND day >= ${$.since}::date
          AND (day <= ${$.until}::date) IS NOT FALSE
        GROUP BY GROUPING SETS ((${bucket('day', unit)}), ())`,
  );
}

const dayOf = (time: Date): string => time.toISOString().slice(0, 10);

const startOf = (day: string, unit: Unit): string => (unit === 'month' ? `${day.slice(0, 7)}-01` : day);

/** The start of the day or the month after one. */
function after(day: string, unit: Unit): string {
  const date = new Date(day);
  if (unit === 'day') return dayOf(new Date(date.getTime() + dayMs));
  return dayOf(new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)));
}
