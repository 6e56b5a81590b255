import type { Request } from 'express';
import type { Settings } from '../../options';
import { commissionOrders } from '../../rewards/commissions/commission-pages';
import { modeSchema, schemas, statusSchema } from './openapi-schemas';
import { publicUrl } from './public-url';
import { arrayOf, ref, type Schema } from './schema';
import type { Wire } from './wire-types';

/** An OpenAPI object that is not a schema: an operation, a parameter, a response. */
type Part = Readonly<Record<string, unknown>>;
type Name = keyof Wire;

const json = (schema: Schema): Part => ({ 'application/json': { schema } });
const ok = (name: Name): Part => ({ description: 'OK', content: json(ref(name)) });
const listOf = <N extends Name>(name: N): Part => ({ description: 'OK', content: json(arrayOf(ref(name))) });
const fails = (description: string, ...names: Name[]): Part => ({
  description,
  content: json(names.length === 1 ? ref(names[0]!) : { anyOf: names.map((name) => ref(name)) }),
});

const unavailable = { 500: fails('Something went wrong.', 'Detail'), 503: fails('Try again later.', 'Detail') };
const signedIn = { 401: fails('Nobody is signed in.', 'Detail'), ...unavailable };
/** For requests that change something. */
const fromElsewhere = {
  403: fails('A page of another site sent it, or nothing tells which: send an Authorization header.', 'Detail'),
};
const tooOften = (limit: string): Part => ({
  429: {
    ...fails(`More than ${limit}.`, 'Detail'),
    headers: { 'Retry-After': { description: 'In seconds.', schema: { type: 'integer' } } },
  },
});
const missing = { 404: fails('There is none, or it is not the user’s.', 'Detail') };
const badParameters = { 400: fails('A parameter is wrong.', 'FieldErrors') };
const badBody = {
  400: fails('The body, or a field of it, is wrong.', 'FieldErrors', 'Detail'),
  413: fails('The body is over 10 kB.', 'Detail'),
};

const id: Part = { name: 'id', in: 'path', required: true, schema: { type: 'integer', minimum: 1 } };
const inQuery = (name: string, schema: Schema, description?: string): Part => ({
  ...{ name, in: 'query', schema },
  ...(description && { description }),
});
const pages = [
  inQuery('page', { type: 'integer', minimum: 1, default: 1 }, 'A page past the end is 404.'),
  inQuery('page_size', { type: 'integer', minimum: 1, default: 25 }, 'Above 100 it counts as 100.'),
];
const body = (name: Name): Part => ({ required: true, content: json(ref(name)) });
const open = { security: [] };

const paths: Record<string, Part> = {
  '/credit/': {
    get: {
      operationId: 'listCredits',
      parameters: [
        ...[inQuery('mode', modeSchema), inQuery('status', statusSchema)],
        inQuery(
          'referral_channel',
          { type: 'string' },
          'The id of a channel of the user’s; empty for earnings without a channel.',
        ),
        inQuery('ordering', { enum: commissionOrders, default: '-created_at' }, 'Equal values are ordered by the id.'),
        ...pages,
      ],
      responses: { 200: ok('CreditPage'), ...badParameters, ...missing, ...signedIn },
    },
  },
  '/credit/{id}/': {
    get: { operationId: 'getCredit', parameters: [id], responses: { 200: ok('Credit'), ...missing, ...signedIn } },
  },
  '/earnout/': {
    get: {
      operationId: 'listEarnOuts',
      parameters: pages,
      responses: { 200: ok('EarnOutPage'), ...badParameters, ...missing, ...signedIn },
    },
  },
  '/earnout/{id}/': {
    get: { operationId: 'getEarnOut', parameters: [id], responses: { 200: ok('EarnOut'), ...missing, ...signedIn } },
  },
  '/config/': {
    get: { operationId: 'getConfig', responses: { 200: ok('Config'), ...signedIn } },
    patch: {
      operationId: 'changeConfig',
      requestBody: body('ConfigChanges'),
      responses: { 200: ok('Config'), ...badBody, ...signedIn, ...fromElsewhere },
    },
  },
  '/channel/': { get: { operationId: 'listChannels', responses: { 200: listOf('Channel'), ...signedIn } } },
  '/coupon-code/': {
    get: { operationId: 'getCoupon', responses: { 200: ok('Coupon'), ...signedIn } },
    post: {
      operationId: 'applyCoupon',
      requestBody: body('CouponInput'),
      responses: {
        ...{ 200: ok('Coupon'), ...badBody, ...signedIn, ...fromElsewhere },
        ...tooOften('5 a minute of one user'),
      },
    },
    delete: {
      operationId: 'removeCoupon',
      responses: {
        204: { description: 'The coupon is removed, unless it is redeemed.' },
        ...signedIn,
        ...fromElsewhere,
      },
    },
  },
  '/code/info/': {
    get: {
      operationId: 'getCodeInfo',
      ...open,
      parameters: [{ ...inQuery('referral_code', { type: 'string' }), required: true }],
      responses: {
        200: ok('CodeInfo'),
        ...badParameters,
        404: fails('There is no such code.', 'Detail'),
        ...tooOften('60 a minute from one address'),
        ...unavailable,
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApi',
      ...open,
      responses: { 200: { description: 'This document.', content: json({ type: 'object' }) } },
    },
  },
};

/**
 * The OpenAPI 3.1 document of the API where the host has mounted it. How users sign in is up to the host: a session,
 * or a token.
 */
export function openApi(req: Request, settings: Settings): object {
  return {
    openapi: '3.1.0',
    info: { title: 'Referrals', version: '2', description: 'What a user has earned by referrals.' },
    servers: [{ url: publicUrl(settings, req.baseUrl) }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        user: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'An example: the site decides how its users sign in, with a session cookie or a token.',
        },
      },
    },
    security: [{ user: [] }],
  };
}
