export { createReferrals, type Referrals } from './create-referrals';
export { entities } from './entities';
export { Referral } from './entities/referral';
export { ReferralDailyCount } from './entities/referral-daily-count';
export { ReferralResponse } from './entities/referral-response';
export { ReferralError, type ReferralErrorCode } from './errors';
export type { CreateFormInput, TemplateHelpers } from './http/template-helpers';
export type { ReferralsOptions } from './options';
export type { ReferralEvents } from './tracking/events';
export type {
  CreateReferralInput,
  ListOptions,
  RecordOptions,
  ReferralDraft,
  RespondOptions,
  TargetRef,
  UserRef,
  WithManager,
} from './types';
export { migrations, runMigrations } from '../migrations';
