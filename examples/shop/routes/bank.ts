import express, { Router } from 'express';
import { settle } from '../payouts';
import type { Shop } from '../shop';

/** The webhook of the bank. An error becomes a response of status 400 or above, after which the bank reports again. */
export function bankRoutes({ referrals, bank }: Shop): Router {
  const router = Router();

  router.post('/bank/reports', express.text({ type: 'application/json', limit: '10kb' }), async (req, res) => {
    const body = typeof req.body === 'string' ? req.body : '';
    await settle(referrals, bank, { body, signature: req.get('Bank-Signature') ?? '' });
    res.sendStatus(204);
  });

  return router;
}
