import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { referralError } from '../errors';
import { isPromise } from './signed-in-user';
import { Visitor, type VisitorParts } from './visitor';

/** Finds the visitor of a request. Each instance of the package stores its own visitor on a request. */
export class Visitors {
  readonly #parts: VisitorParts;
  /** The property of a request that holds its visitor. */
  readonly #key = Symbol('referrals visitor');
  /**
   * Attached to requests as `req.referralForRequest`. It also marks the requests that this instance's middleware has
   * seen.
   */
  readonly attached: Request['referralForRequest'];

  constructor(parts: VisitorParts) {
    this.#parts = parts;
    const visitorOf = (req: Request): Visitor => this.seen(req, 'req.referralForRequest');
    this.attached = async function (this: Request) {
      const found = visitorOf(this).attributed();
      const attributed = isPromise(found) ? await found : found;
      return attributed && attributed.referral;
    };
  }

  /** Returns the visitor of a request. It does not store a new one: for a request that no later handler gets. */
  visitor(req: IncomingMessage, res: ServerResponse): Visitor {
    return this.#kept(req) ?? new Visitor(this.#parts, req, res, false);
  }

  /** Returns the visitor of a request, and stores it for later handlers. */
  meet(req: Request, res: Response): Visitor {
    const visitor = this.#kept(req) ?? new Visitor(this.#parts, req, res, true);
    (req as unknown as Record<symbol, Visitor>)[this.#key] = visitor;
    return visitor;
  }

  /** Whether this instance's middleware has seen the request. */
  hasSeen(req: Request): boolean {
    try {
      return req?.referralForRequest === this.attached || this.#kept(req) !== undefined;
    } catch {
      return false; // a proxy that throws, instead of a request
    }
  }

  /** Returns the visitor of a request that the middleware has seen. Throws `MIDDLEWARE_MISSING` for any other. */
  seen(req: Request, call: string): Visitor {
    if (!this.hasSeen(req)) throw referralError('MIDDLEWARE_MISSING', call);
    return this.#kept(req) ?? this.meet(req, req.res!);
  }

  #kept(req: IncomingMessage): Visitor | undefined {
    return (req as unknown as Record<symbol, Visitor | undefined> | undefined)?.[this.#key];
  }
}
