import type { Route } from '../../views/page-router';
import type { ActionParts } from './action-parts';
import { Turn } from './action-turn';
import { batchRoutes } from './batch-routes';

/** The routes of everything that staff do: a form, a preview of what it does, and the doing. */
export function actionRoutes(parts: ActionParts): readonly Route[] {
  return [
    ...batchRoutes(parts),
    {
      path: '/actions/:action',
      get: (call) => new Turn(parts, call).form(),
      post: (call) => new Turn(parts, call).perform(),
    },
    { path: '/actions/:action/preview', post: (call) => new Turn(parts, call).preview() },
  ];
}
