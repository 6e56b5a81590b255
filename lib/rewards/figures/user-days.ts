import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { dayMs } from '../../limits';
import type { Counted, CountedDay, FigureDays, Overview } from '../../types/figures';
import { bookedDays } from './days';

/** The figures of a period. */
export type PeriodFigures = Pick<Overview, 'figures' | 'series'>;
type Unit = PeriodFigures['series']['unit'];

/** The sums of a day or a month; of the whole period if the day is null. */
interface DayRow extends Record<Exclude<keyof Counted, 'earned'>, string | number> {
  day: string | null;
  earned: string | number;
}

const nothing = { clicks: 0, visitors: 0, signups: 0, customers: 0, earned: 0 };

/** Reads what was counted for a user by UTC day. */
export class UserDays {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns the figures of the last days before a time, that day included; null for all time. */
  async figures(user: string, days: FigureDays, now: Date): Promise<PeriodFigures> {
    const unit = days === null ? 'month' : 'day';
    const today = dayOf(now);
    const from = days === null ? null : dayOf(new Date(now.getTime() - (days - 1) * dayMs));
    const rows = await this.#read(user, unit, { from, until: days === null ? null : today });
    const byDay = new Map(rows.map((row) => [row.day, row]));
    const counted = rows.flatMap(({ day }) => day ?? []).sort();
    const first = from ?? counted[0] ?? startOf(today, unit);
    const last = [today, ...counted].sort().at(-1)!;
    const series: CountedDay[] = [];
    for (let day = first; day <= last; day = after(day, unit)) series.push({ day, ...this.#shown(byDay.get(day)) });
    return { figures: this.#shown(byDay.get(null)), series: { unit, rows: series } };
  }

  /** Returns all days with anything, newest first. */
  async all(user: string): Promise<CountedDay[]> {
    const rows = await this.#read(user, 'day', { from: null, until: null });
    const days = rows.flatMap(({ day, ...row }) => (day === null ? [] : { day, ...this.#shown({ day, ...row }) }));
    return days.sort((a, b) => (a.day < b.day ? 1 : -1));
  }

  async #read(user: string, unit: Unit, period: { from: string | null; until: string | null }): Promise<DayRow[]> {
    const { referrals, dailyCounts } = this.#database.tables;
    const ids = await this.#database.query<{ id: string }>(
      sql({ user }, ($) => `SELECT id FROM ${referrals} WHERE user_id = ${$.user}`),
    );
    return this.#database.query<DayRow>(
      sql(
        { user, ...period, ids: ids.map(({ id }) => id) },
        ($) => `
        SELECT to_char(date_trunc('${unit}', day::timestamp), 'YYYY-MM-DD') AS day, sum(clicks) AS clicks,
          sum(visitors) AS visitors, sum(signups) AS signups, sum(customers) AS customers, sum(earned) AS earned
        FROM (
          SELECT day, 0 AS clicks, 0 AS visitors, signups, customers, earned
          FROM (${bookedDays(this.#database.tables)}) AS booked WHERE user_id = ${$.user}
          UNION ALL
          SELECT day, clicks, visitors, 0, 0, 0 FROM ${dailyCounts} WHERE referral_id = ANY(${$.ids}::bigint[])
        ) AS counted
        WHERE (day >= ${$.from}::date) IS NOT FALSE AND (day <= ${$.until}::date) IS NOT FALSE
        GROUP BY GROUPING SETS ((1), ())`,
      ),
    );
  }

  #shown(row: DayRow | undefined): Counted {
    const { clicks, visitors, signups, customers, earned } = row ?? nothing;
    return {
      ...{ clicks: Number(clicks), visitors: Number(visitors), signups: Number(signups), customers: Number(customers) },
      earned: this.#database.shown(earned ?? 0),
    };
  }
}

const dayOf = (time: Date): string => time.toISOString().slice(0, 10);

const startOf = (day: string, unit: Unit): string => (unit === 'month' ? `${day.slice(0, 7)}-01` : day);

/** The start of the day or the month after one. */
function after(day: string, unit: Unit): string {
  const date = new Date(day);
  if (unit === 'day') return dayOf(new Date(date.getTime() + dayMs));
  return dayOf(new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)));
}
