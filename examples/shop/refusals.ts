import { ReferralError, type SignupExplanation } from 'express-referrals';

// What customers are told when a coupon or a code is refused. The sentences of express-referrals are for staff.

const ofCoupons: Partial<Record<ReferralError['code'], string>> = {
  COUPON_NOT_FOUND: 'There is no such coupon. Please check the spelling.',
  COUPON_INACTIVE: 'This coupon is not active now.',
  COUPON_EXPIRED: 'This coupon has expired.',
  COUPON_OWN: 'This is your own coupon. It is for your friends.',
  COUPON_REDEEMED: 'You have used this coupon already.',
  COUPON_USED_UP: 'This coupon is used up.',
  COUPON_FIRST_PURCHASE_ONLY: 'This coupon is for the first purchase only.',
  INVALID_INPUT: 'There is no such coupon. Please check the spelling.',
};

/** Returns what a customer is told about a coupon that can't be applied; undefined for another error. */
export function couponRefusal(error: unknown): string | undefined {
  return error instanceof ReferralError ? ofCoupons[error.code] : undefined;
}

const ofCodes: Record<SignupExplanation['reason'], string> = {
  'no-code': 'Please enter a code, or leave the field empty.',
  'unknown-code': 'We don’t know this code. Please check the spelling, or leave the field empty.',
  'expired': 'This code has expired. Please leave the field empty.',
  'used-up': 'This code can’t be used any more. Please leave the field empty.',
  'own-code': 'This is your own code. Please leave the field empty.',
  'already-signed-up': 'You have signed up already.',
  'suspended': 'This code can’t be used. Please leave the field empty.',
  'outside-window': 'This invitation is too old. Please leave the field empty.',
};

/** Returns what a customer is told about the code of a friend that can't be used. */
export function codeRefusal({ reason }: SignupExplanation): string {
  return ofCodes[reason];
}
