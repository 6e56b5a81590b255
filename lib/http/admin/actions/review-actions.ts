import type { Action } from './action';
import { aboutId, aboutRecords, idIn } from './shared-fields';

const about = aboutRecords(
  ({ managers }, some) => managers.reviews.list(some),
  ['rule', 'userId', 'refereeId', 'status', 'isHolding', 'createdAt'],
);

/** Staff go on with the queue. */
const after = (): string => '/reviews';

export const reviewActions: readonly Action[] = [
  {
    name: 'reviews.allow',
    fields: [aboutId],
    subject: about,
    make: ({ managers }, input, options) => managers.reviews.allow(idIn(input), options),
    after,
  },
  {
    name: 'reviews.refuse',
    fields: [aboutId],
    isGrave: true,
    subject: about,
    make: ({ managers }, input, options) => managers.reviews.refuse(idIn(input), options),
    after,
  },
];
