import type { Request, Response } from 'express';

/** A request to an endpoint. */
export interface Call {
  req: Request;
  res: Response;
  /** The signed-in user; empty if the endpoint is open. */
  userId: string;
}

/** Returns the JSON object of the response, or null for a 204. @throws HttpError for an error of the client's. */
export type Handler = (call: Call) => Promise<object | null>;

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** A path of the API and its methods. */
export interface Endpoint {
  path: string;
  methods: Partial<Record<Method, Handler>>;
  /** Whether the request needs no signed-in user. */
  isOpen?: boolean;
}
