import type { Referral, ReferralResponse } from 'express-referrals';
import { type DataSource, In } from 'typeorm';
import { Order, Product, User } from './entities';

/** A row of the list of responses. */
export interface ResponseRow {
  at: Date;
  action: string;
  link: string;
  target: string | null;
  responder: string | null;
}

/** Returns the rows of responses, with names instead of ids. Each id is looked up once. */
export async function responseRows(
  dataSource: DataSource,
  links: readonly Referral[],
  responses: readonly ReferralResponse[],
): Promise<ResponseRow[]> {
  const labels = new Map(links.map(({ id, label }) => [id, label]));
  const userIds = new Set(responses.flatMap(({ userId }) => userId ?? []));
  const users = await dataSource.manager.findBy(User, { id: In([...userIds]) });
  const names = new Map(users.map(({ id, name }) => [id, name]));
  const targets = new Map<string, Promise<string | null>>();

  function targetOf(response: ReferralResponse): Promise<string | null> {
    const key = `${response.targetType} ${response.targetId}`;
    const known = targets.get(key) ?? response.loadTarget().then(nameOf);
    targets.set(key, known);
    return known;
  }

  return Promise.all(
    responses.map(async (response) => ({
      at: response.createdAt,
      action: response.action,
      link: labels.get(response.referralId) ?? '',
      target: await targetOf(response),
      responder: (response.userId !== null && names.get(response.userId)) || null,
    })),
  );
}

function nameOf(target: object | null): string | null {
  if (target instanceof Product) return target.name;
  if (target instanceof Order) return `${target.productName} (order ${target.id})`;
  return null;
}
