import type { Request } from 'express';
import { LRUCache } from 'lru-cache';
import type { Settings } from '../../options';
import type { Figures } from '../../rewards/figures/figures';
import { masked } from '../../shown';
import type { OwnLink } from '../../types/figures';
import type { PagesData, WithUrl } from '../../types/pages';

/** Returns the data of a signed-in user. */
export function pagesData(figures: Figures, settings: Settings, userId: string, req: Request): PagesData {
  const nameOf = userNames(settings, req);
  const withUrl = <L extends OwnLink>(link: L): WithUrl<L> => ({ ...link, url: linkUrl(settings, link.code) });

  return {
    userId,
    async overview(days = 30) {
      const overview = await figures.overview(userId, { days });
      return { ...overview, link: withUrl(overview.link) };
    },
    async links(page) {
      const { rows, next } = await figures.links(userId, page);
      return { rows: rows.map(withUrl), next };
    },
    coupons: (page) => figures.coupons(userId, page),
    async friends(page) {
      const { rows, next } = await figures.friends(userId, page);
      return {
        rows: await Promise.all(rows.map(async ({ id, ...row }) => ({ ...row, friend: await nameOf(id) }))),
        next,
      };
    },
    async credits(page) {
      const { rows, ...more } = await figures.credits(userId, page);
      return { ...more, rows: await Promise.all(rows.map((row) => named(row, nameOf))) };
    },
    entries: (asked) => figures.entries(userId, asked),
    async commissions(asked) {
      const { rows, next } = await figures.commissions(userId, asked);
      return { rows: await Promise.all(rows.map((row) => named(row, nameOf))), next };
    },
    adjustments: (page) => figures.adjustments(userId, page),
    payouts: (page) => figures.payouts(userId, page),
    settings: () => figures.settings(userId),
  };
}

async function named<Row extends { id: number; friendId: string | null }>(
  { friendId, ...row }: Row,
  nameOf: NameOf,
): Promise<Omit<Row, 'friendId'> & { friend: string | null }> {
  return { ...row, friend: friendId === null ? null : await nameOf(friendId) };
}

/** Returns the address of a link that somebody shares. */
export function linkUrl({ baseUrl, sitePath, linkPath }: Settings, code: string): string {
  return `${baseUrl.origin}${sitePath}${linkPath}/${code}`;
}

/** Returns how a friend is named; null for no name. */
export type NameOf = (id: string) => Promise<string | null>;

/** Longer names are cut: a page names 25 friends. */
const maxName = 100;

/**
 * Names users in a request, each of a thousand once. An error of the host's is reported.
 *
 * @param unnamed names a user whom the host does not, or could not. Default: by the id, masked, for who knows the user.
 */
export function userNames(
  { pages: { userName }, onError }: Settings,
  req: Request,
  unnamed: (id: string) => string | null = maskedId,
): NameOf {
  const known = new LRUCache<string, Promise<string | null>>({ max: 1000 });
  async function ask(id: string): Promise<string | null> {
    if (!userName) return unnamed(id);
    try {
      const name: unknown = await userName(id, req);
      return typeof name === 'string' && name.trim() !== '' ? name.trim().slice(0, maxName) : null;
    } catch (error) {
      onError(error);
      return unnamed(id);
    }
  }
  return (id) => {
    const name = known.get(id) ?? ask(id);
    known.set(id, name);
    return name;
  };
}

/** Returns an id as somebody recognises it who knows it, and nobody else. */
export function maskedId(id: string): string {
  if (id.includes('@')) return masked(id);
  const characters = [...id];
  return characters.length > 3 ? `${characters[0]}***${characters.at(-1)}` : '***';
}
