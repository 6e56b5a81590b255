/** The fields of the user's account that this client uses. */
export interface Config {
  mode: 'credits' | 'payout';
  paypal_payout_email: string | null;
  credits_earned: number;
  payouts_earned: number;
  referral_url: string;
}

/** A commission. */
export interface Credit {
  id: number;
  amount: number;
  status: 'pending' | 'available' | 'reverted';
}

/** A response with a status of 400 or above. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: { detail?: string; code?: string } & Record<string, unknown>,
  ) {
    super(body.detail ?? `The request failed with status ${status}: ${JSON.stringify(body)}`);
  }
}

/** A client for the API at `base`, such as `https://shop.example/api/v2/referral/`. */
export function referralApi(base: string, headers: Record<string, string> = {}) {
  async function call<T>(method: string, url: string, body?: object): Promise<T> {
    const response = await fetch(new URL(url, base), {
      method,
      headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text(); // empty for 204
    const parsed: unknown = text === '' ? null : JSON.parse(text);
    if (!response.ok) throw new ApiError(response.status, parsed as ApiError['body']);
    return parsed as T;
  }

  return {
    config: () => call<Config>('GET', 'config/'),

    /** Commissions that are earned from now on are paid out to this address. */
    payOutTo: (email: string) => call<Config>('PATCH', 'config/', { mode: 'payout', paypal_payout_email: email }),

    /** Returns all commissions with a status, newest first. Fetches one page after another. */
    async *credits(status: Credit['status']): AsyncGenerator<Credit> {
      let url: string | null = `credit/?status=${status}&page_size=100`;
      while (url !== null) {
        const page: { next: string | null; results: Credit[] } = await call('GET', url);
        yield* page.results;
        url = page.next;
      }
    },

    /** Applies a coupon. Throws an ApiError whose `body.code` says why it can't be applied. */
    applyCoupon: (code: string) => call<{ code: string }>('POST', 'coupon-code/', { code }),

    removeCoupon: () => call<null>('DELETE', 'coupon-code/'),
  };
}
