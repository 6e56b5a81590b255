import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { dayMs } from '../../limits';
import type { Counted, CountedDay, FigureDays, Overview } from '../../types/figures';
import { bookedDays } from './booked-days';
import { closableUntil, closedAsText, closedUntil, type DayClosing } from './day-closing';

/** The figures of a period. */
type PeriodFigures = Pick<Overview, 'figures' | 'series'>;
type Unit = PeriodFigures['series']['unit'];

interface DaysParameters {
  user: string;
  now: Date;
  /** The day before which days can be closed. */
  closable: string;
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

/** The row of the whole period also says since when, and of which links, clicks are to be added. */
interface TotalRow extends DayRow {
  since: string;
  /** Whether days are closed that the clock has yet to reach again. */
  isSetBack: boolean;
  /** As PostgreSQL writes them: nobody here reads them. */
  links: string | null;
}

interface ClickParameters {
  links: string;
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

  /** Returns the figures of the last days before a time, that day included; null for all time. */
  async figures(user: string, days: FigureDays, now: Date): Promise<PeriodFigures> {
    const unit = days === null ? 'month' : 'day';
    const today = dayOf(now);
    const from = days === null ? null : dayOf(new Date(now.getTime() - (days - 1) * dayMs));
    const byDay = await this.#read(unit, { user, now, from, until: days === null ? null : today });
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
    const byDay = await this.#read('day', { user, now, from: null, until: null });
    const days = [...byDay].flatMap(([day, counted]) => (day === null ? [] : { day, ...counted }));
    return days.sort((a, b) => (a.day < b.day ? 1 : -1));
  }

  /** Returns the sums by day or month, and those of the whole period for null. */
  async #read(unit: Unit, given: Omit<DaysParameters, 'closable'>): Promise<Map<string | null, Counted>> {
    const { user, now, until } = given;
    const closable = closableUntil(now);
    const booked = await this.#database.query<DayRow>(this.#books[unit].with({ ...given, closable }));
    const byDay = new Map(booked.map((row) => [row.day, this.#shown(row)]));
    const { since, links, isSetBack, walked: read } = booked.find(({ day }) => day === null) as TotalRow;
    // A statement of its own, because the counts may be on other nodes.
    const clicks = await this.#database.query<ClickRow>(
      this.#clicks[unit].with({ links: links ?? '{}', since, until, closable }),
    );
    for (const row of clicks) {
      const counted = byDay.get(row.day) ?? this.#shown(nothing);
      byDay.set(row.day, {
        ...counted,
        clicks: counted.clicks + Number(row.clicks ?? 0),
        visitors: counted.visitors + Number(row.visitors ?? 0),
      });
    }
    const walked = Number(read) + Number(clicks.find(({ day }) => day === null)?.walked ?? 0);
    await this.#closing.noteWalked(user, now, walked, isSetBack);
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

/**
 * What is asked for is read through `asked`, and each range of times has two ends: so PostgreSQL, which knows neither, takes few
 * rows for granted, plans the look-up by index once, and keeps that plan for users with few rows and with many.
 */
function bookStatement({ tables }: Database, unit: Unit): Statement<DaysParameters> {
  const { userDays, closedDays, referrals } = tables;
  const asked = (column: string): string => `(SELECT ${column} FROM asked)`;
  return statement<DaysParameters>(
    { user: true, now: true, closable: true, from: true, until: true },
    ($) => `
        WITH
        -- Of whom, and the days.
        given AS (
          SELECT ${$.user}::varchar AS user_id, coalesce(${$.from}::date, '-infinity') AS first_day,
            coalesce(${$.until}::date, 'infinity') AS last_day, ${closedUntil(tables, $.user, $.now)} AS closed
        ),
        -- The same, with the day and the times from and until which rows are read themselves.
        asked AS MATERIALIZED (
          SELECT *, greatest(first_day, closed) AS since, greatest(first_day, closed)::timestamp AT TIME ZONE 'UTC' AS start_time,
            (last_day + 1)::timestamp AT TIME ZONE 'UTC' AS end_time
          FROM given
        ),
        -- The sums of closed days, and of the rows of the others.
        by_day AS (
          SELECT day, clicks, visitors, signups, customers, earned, 0 AS read FROM ${userDays}
          WHERE user_id = ${asked('user_id')} AND day >= ${asked('first_day')} AND day < ${asked('least(since, last_day + 1)')}
          UNION ALL
          SELECT day, 0, 0, sum(signups), sum(customers), sum(earned), count(*)
          FROM (${bookedDays(tables, { user: asked('user_id'), start: asked('start_time'), end: asked('end_time') })}) AS booked
          GROUP BY day
        )
        SELECT ${bucket('day', unit)} AS day, coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors,
          coalesce(sum(signups), 0) AS signups, coalesce(sum(customers), 0) AS customers, coalesce(sum(earned), 0) AS earned,
          coalesce(sum(read) FILTER (WHERE day < ${$.closable}::date), 0) AS walked,
          CASE WHEN grouping(${bucket('day', unit)}) = 1 THEN ${closedAsText(asked(`nullif(since, '-infinity')`))} END AS since,
          EXISTS (
            SELECT FROM ${closedDays} d WHERE d.user_id = ${asked('user_id')} AND d.until > ${$.closable}::date + 1
          ) AS "isSetBack",
          CASE WHEN grouping(${bucket('day', unit)}) = 1
            THEN (SELECT array_agg(id)::text FROM ${referrals} WHERE user_id = ${asked('user_id')}) END AS links
        FROM by_day GROUP BY GROUPING SETS ((${bucket('day', unit)}), ())`,
  );
}

function clickStatement({ tables }: Database, unit: Unit): Statement<ClickParameters> {
  return statement<ClickParameters>(
    { links: true, since: true, until: true, closable: true },
    ($) => `
        WITH
        -- Few rows, whose days are written out below.
        by_day AS (
          SELECT day, sum(clicks) AS clicks, sum(visitors) AS visitors, count(*) AS read FROM ${tables.dailyCounts}
          WHERE referral_id = ANY(${$.links}::bigint[]) AND day >= ${$.since}::date
            AND day <= coalesce(${$.until}::date, 'infinity')
          GROUP BY day
        )
        SELECT ${bucket('day', unit)} AS day, sum(clicks) AS clicks, sum(visitors) AS visitors,
          sum(read) FILTER (WHERE day < ${$.closable}::date) AS walked
        FROM by_day GROUP BY GROUPING SETS ((${bucket('day', unit)}), ())`,
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
