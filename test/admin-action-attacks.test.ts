import type { Action, ActionName } from '../lib/http/admin/actions/action';
import { actions } from '../lib/http/admin/actions/actions';
import { csrfField } from '../lib/http/views/csrf';
import { closeAll } from './support/host';
import { confirmationOf, mount, StaffBrowser, type StaffHost, startStaff, textOf } from './support/staff';
import { staffCases, staffOptions } from './support/staff-actions-world';

const all = [...actions.values()].map((action): [ActionName, Action] => [action.name, action]);

let host: StaffHost;
let sue: StaffBrowser;

beforeAll(async () => {
  host = await startStaff(staffOptions);
  sue = new StaffBrowser(host);
});
afterAll(async () => {
  await host.close();
  await closeAll();
});

const auditRows = (): Promise<number> => host.rewards.managers.audit.count();

const dayMs = 86_400_000;

test.each(all)('%s: forged, foreign and expired forms do nothing', async (name) => {
  const { query, fields } = await staffCases[name](host);
  const { action, fields: sent } = confirmationOf(await sue.preview(name, query, { ...fields, reason: 'why' }));
  const token = sent[csrfField]!;
  const other = (await new StaffBrowser(host, 'eve').form(name, query)).fields[csrfField]!;
  expect(other).not.toBe(token);
  const before = await auditRows();
  for (const path of [action, `${action}/preview`]) {
    const { [csrfField]: _token, ...bare } = sent;
    const forged = [
      bare,
      ...['', 'x', other, `${token}x`, token.replace(/.$/, '!')].map((one) => ({ ...bare, [csrfField]: one })),
    ];
    for (const form of forged) expect((await sue.send(path, form)).status).toBe(403);
    expect((await sue.send(path, sent, 'cross-site')).status).toBe(403);
    expect((await new StaffBrowser(host, 'eve').send(path, sent)).status).toBe(403);
    expect((await new StaffBrowser(host, null).send(path, sent)).status).toBe(403);
    host.clock.advance(dayMs);
    expect((await sue.send(path, sent)).status).toBe(403);
    host.clock.advance(-dayMs);
  }
  expect((await new StaffBrowser(host, null).get(action.slice(mount.length))).status).toBe(403);
  expect(await auditRows()).toBe(before);
});

const script = '"><script>alert(1)</script>';
const junk = [
  script,
  '\0',
  '\ud800',
  'x'.repeat(4000),
  '-1',
  '0',
  'NaN',
  '1e999',
  '99999999999999999999',
  '{"a":1}',
  '../..',
  '%00',
];

test.each(all)('%s: junk in each field is refused in plain words', async (name, { fields }) => {
  const made = await staffCases[name](host);
  const { action, fields: form } = await sue.form(name, made.query);
  const right = { ...form, ...made.query, ...made.fields, reason: 'why' };
  for (const field of [...fields.map((one) => one.name as string), 'reason'])
    for (const value of junk) {
      const answer = await sue.send(action, { ...right, [field]: value });
      expect([200, 400, 404, 409].includes(answer.status) || [field, value, answer.status]).toBe(true);
      expect(answer.text).not.toContain('<script>alert');
      const asked = await sue.get(
        `/actions/${name}?${new URLSearchParams({ ...made.query, [field]: value }).toString()}`,
      );
      expect([200, 400, 404].includes(asked.status) || [field, value, asked.status]).toBe(true);
      expect(asked.text).not.toContain('<script>alert');
    }
  for (const field of ['key', 'digest', 'change', '__proto__', 'constructor', 'toString'])
    expect((await sue.send(action, { ...right, [field]: script })).status).toBeLessThan(500);
  expect((await sue.send(action, { ...right, reason: ['one', 'two'] })).status).toBe(200);
  expect(host.errors).toEqual([]);
});

test.each(all.filter(([, { subject }]) => subject))('%s: what does not exist is a 404', async (name, { fields }) => {
  const about = fields[0]!;
  const nobody = about.name === 'user' ? 'nobody-at-all' : '999999999';
  const { action, fields: form } = await sue.form(name, (await staffCases[name](host)).query);
  const sent = { ...form, [about.name]: nobody, reason: 'why' };
  const isMade = name.startsWith('accounts.') && name !== 'accounts.update'; // for a user without an account
  const expected = isMade ? 200 : 404;
  expect((await sue.get(`/actions/${name}?${about.name}=${nobody}`)).status).toBe(expected);
  const answers = [await sue.send(action, sent), await sue.send(action.replace(/\/preview$/, ''), sent)];
  expect(answers.map(({ status }) => status)).toEqual(isMade ? [200, 409] : [404, 404]);
});

test.each(all)(
  '%s: a form without a reason, and without what is needed, says so at the field',
  async (name, { fields }) => {
    const { query } = await staffCases[name](host);
    const { action, fields: form } = await sue.form(name, query);
    const answer = await sue.send(action, { ...form, reason: '  ' });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('id="rf-reason-error"');
    for (const { name: field, isRequired, isAbout } of fields)
      if (isRequired && !isAbout) {
        const without = await sue.send(action, { ...form, [field]: '', reason: 'why' });
        expect([field, without.status]).toEqual([field, 400]);
        expect(without.text).toContain(`id="rf-${field}-error"`);
      }
  },
);

test('an action that does not exist is a 404', async () => {
  for (const name of ['nothing', '__proto__', 'constructor', 'commissions.hold%00', '..%2f..'])
    expect((await sue.get(`/actions/${name}`)).status).toBe(404);
  const { fields } = await sue.form('programs.create');
  expect((await sue.send(`${mount}/actions/nothing/preview`, fields)).status).toBe(404);
});

test('doing without a preview shows the preview, and does nothing', async () => {
  const { query } = await staffCases['commissions.reject'](host);
  const { fields } = await sue.form('commissions.reject', query);
  const before = await auditRows();
  const answer = await sue.send(`${mount}/actions/commissions.reject`, { ...fields, reason: 'why' });
  expect([answer.status, textOf(answer)]).toEqual([409, expect.stringContaining('What is written')]);
  expect(await auditRows()).toBe(before);
});
