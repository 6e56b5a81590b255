import { execFileSync } from 'node:child_process';
import path from 'node:path';
import request, { type Response } from 'supertest';
import { endpoints } from '../lib/http/api/endpoints';
import { type ApiHost, buy, checkAgainst, coupon, type Document, mount, refer, startApi } from './support/api';
import { baseUrl, closeAll } from './support/host';

let host: ApiHost;
let document: Document;
beforeAll(async () => {
  host = await startApi({ commission: { ratio: '0.25' } });
  document = (await request(host.app).get(`${mount}/openapi.json`).expect(200)).body as Document;
});
afterAll(closeAll);

/** By the schema of OpenAPI itself; in a process of its own, as Jest does not load ES modules. */
function problemsOf(candidate: object): unknown {
  const script = `
    import { Validator } from '@seriousme/openapi-schema-validator';
    import { readFileSync } from 'node:fs';
    const validator = new Validator();
    const { valid, errors } = await validator.validate(JSON.parse(readFileSync(0, 'utf8')));
    console.log(JSON.stringify(valid ? [validator.version] : errors));`;
  const options = { input: JSON.stringify(candidate), cwd: path.join(__dirname, '..'), encoding: 'utf8' } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], options));
}

const operations = () =>
  Object.entries(document.paths).flatMap(([name, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name, method, operation })),
  );
const schemas = () =>
  (document as unknown as { components: { schemas: Record<string, Record<string, unknown>> } }).components.schemas;

test('it is a valid document of OpenAPI 3.1, for anybody to read', async () => {
  expect(document.openapi).toMatch(/^3\.1\.\d$/);
  expect(problemsOf(document)).toEqual(['3.1']);
  expect(problemsOf({ ...document, paths: { '/credit/': { get: { responses: 1 } } } })).not.toEqual(['3.1']);
  for (const ask of [{}, { as: 'anna' }]) expect((await host.ask('GET', '/openapi.json', ask)).body).toEqual(document);
  expect(document.servers).toEqual([{ url: `${baseUrl}${mount}` }]);
});

test('its paths and methods are those of the router', () => {
  const rooms = [{ settings: {} }, { managers: {} }] as unknown as Parameters<typeof endpoints>;
  const routed = endpoints(...rooms);
  expect(
    Object.fromEntries(Object.entries(document.paths).map(([name, of]) => [name, Object.keys(of).sort()])),
  ).toEqual(
    Object.fromEntries(
      routed.map(({ path: name, methods }) => [
        name.replace(/:(\w+)/g, '{$1}'),
        Object.keys(methods)
          .map((method) => method.toLowerCase())
          .sort(),
      ]),
    ),
  );
  for (const { path: name, isOpen = false } of routed)
    for (const operation of Object.values(document.paths[name.replace(/:(\w+)/g, '{$1}')]!)) {
      expect([name, operation.security]).toEqual([name, isOpen ? [] : undefined]);
      expect([name, '401' in operation.responses]).toEqual([name, !isOpen]);
    }
});

test('each operation has a name of its own, and tells of its parameters and bodies', () => {
  const names = operations().map(({ operation }) => operation.operationId);
  expect(names.every((name) => /^[a-z]\w+$/i.test(name))).toBe(true);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, method, operation } of operations()) {
    const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
    expect([name, inPath.map((parameter) => parameter.name)]).toEqual([name, name.includes('{id}') ? ['id'] : []]);
    expect(inPath.every(({ required }) => required)).toBe(true);
    const takesBody = method === 'patch' || method === 'post';
    expect([name, method, operation.requestBody !== undefined]).toEqual([name, method, takesBody]);
    expect([name, method, '400' in operation.responses]).toEqual([
      ...[name, method, takesBody || (operation.parameters ?? []).some((parameter) => parameter.in === 'query')],
    ]);
  }
});

test('the parameters take what the document lists, and nothing else', async () => {
  const { parameters = [] } = document.paths['/credit/']!['get']!;
  expect(parameters.map(({ name }) => name)).toEqual([
    ...['mode', 'status', 'referral_channel', 'ordering', 'page', 'page_size'],
  ]);
  for (const { name, schema } of parameters.filter(({ schema }) => schema.enum)) {
    for (const value of schema.enum!)
      expect((await host.ask('GET', `/credit/?${name}=${value}`, { as: 'anna' })).status).toBe(200);
    expect((await host.ask('GET', `/credit/?${name}=${schema.enum![0]}x`, { as: 'anna' })).status).toBe(400);
  }
  const ordering = ['id', 'mode', 'amount', 'status', 'created_at', 'updated_at', 'reverted_at'];
  expect(parameters.find(({ name }) => name === 'ordering')!.schema.enum!.toSorted()).toEqual(
    ordering.flatMap((name) => [name, `-${name}`]).sort(),
  );
  expect(document.paths['/earnout/']!['get']!.parameters!.map(({ name }) => name)).toEqual(['page', 'page_size']);
});

test('the objects have the fields of the reference: all of them, always, and no others', () => {
  const fields = {
    Credit: [
      ...['id', 'user_id', 'mode', 'amount', 'status', 'referral_channel', 'referral_channel_code'],
      ...['created_at', 'updated_at', 'reverted_at'],
    ],
    EarnOut: ['id', 'mode', 'paypal_payout_email', 'amount', 'status', 'error_reason', 'created_at', 'updated_at'],
    Config: [
      ...['id', 'mode', 'paypal_payout_email', 'id_verification_required', 'credits_earned', 'payouts_earned'],
      ...['total_credits_earned', 'total_payouts_earned', 'number_of_users_referred', 'number_of_users_upgraded'],
      ...['earn_out_frequency', 'next_earn_out_date', 'minimum_earn_out_amount', 'referral_code', 'referral_url'],
      ...['referral_maximum_credits', 'referral_credit_ratio', 'referral_payment_pending_days'],
      ...['promo_type', 'promo_value', 'created_at', 'updated_at'],
      ...['initial_rate', 'ongoing_rate', 'initial_rate_period_days', 'max_earnings_per_referred'],
    ],
    Channel: [
      ...['id', 'code', 'description', 'promo_type', 'promo_value', 'is_active', 'is_recurring', 'start_date'],
      ...['end_date', 'total_uses', 'total_commission', 'total_revenue', 'initial_rate', 'ongoing_rate'],
      ...['initial_rate_period_days', 'max_earnings_per_referred', 'created_at'],
    ],
    Coupon: ['code', 'promo_type', 'promo_value', 'description', 'is_recurring'],
    CodeInfo: ['referral_code', 'promo_type', 'promo_value'],
    CreditPage: ['count', 'next', 'previous', 'results'],
    EarnOutPage: ['count', 'next', 'previous', 'results'],
  };
  for (const [name, expected] of Object.entries(fields)) {
    const { properties, required, additionalProperties } = schemas()[name]!;
    expect([name, Object.keys(properties as object).sort()]).toEqual([name, expected.toSorted()]);
    expect([name, (required as string[]).toSorted()]).toEqual([name, expected.toSorted()]);
    expect([name, additionalProperties]).toEqual([name, false]);
  }
  const changes = schemas()['ConfigChanges']!;
  expect(Object.keys(changes['properties'] as object)).toEqual(['mode', 'paypal_payout_email']);
  const input = schemas()['CouponInput']!;
  expect([Object.keys(input['properties'] as object), input['required']]).toEqual([['code'], ['code']]);
});

test('an answer that differs from the document is noticed', async () => {
  await coupon(host, 'anna');
  await refer(host, 'anna', '7');
  await buy(host, '7', '10', 'a');
  const check = checkAgainst(document);
  const asked = { as: 'anna' };
  const altered = (answer: Response, change: object): Response =>
    Object.assign(Object.create(answer) as Response, {
      body: { ...answer.body, ...change },
      text: answer.text,
      headers: answer.headers,
      status: answer.status,
    });
  const page = await host.ask('GET', '/credit/', asked);
  const [credit] = page.body.results;
  expect(() => check('GET', '/credit/', page, undefined)).not.toThrow();
  for (const change of [{ amount: '2.50' }, { id: null }, { status: 'paid' }, { created_at: 'today' }, { more: 1 }])
    expect(() => check('GET', '/credit/', altered(page, { results: [{ ...credit, ...change }] }), undefined)).toThrow(
      'errors',
    );

  const config = await host.ask('GET', '/config/', asked);
  for (const change of [{ mode: null }, { next_earn_out_date: null }, { earn_out_frequency: 7 }])
    expect(() => check('GET', '/config/', altered(config, change), undefined)).toThrow('errors');
  expect(() => check('GET', '/config/', Object.assign(altered(config, {}), { status: 418 }), undefined)).toThrow('418');
  expect(() => check('GET', '/nothing/', config, undefined)).toThrow('404');
  expect(() => check('PUT', '/config/', config, undefined)).toThrow('405');
  const uncached = Object.assign(altered(config, {}), { headers: {} });
  expect(() => check('GET', '/config/', uncached, undefined)).toThrow('no-store');
  expect(() => check('PATCH', '/config/', config, { mode: 'cash' })).toThrow('mode');
});
