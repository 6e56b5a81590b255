import { closeAll } from './support/host';
import { confirmationOf, formsOf, StaffBrowser, type StaffHost, startStaff, textOf } from './support/staff';
import { commission, signup, staffCases, staffOptions } from './support/staff-actions-world';

let host: StaffHost;
let sue: StaffBrowser;
let tom: StaffBrowser;

const begin = async (...given: Parameters<typeof startStaff>): Promise<void> => {
  host = await startStaff(...given);
  sue = new StaffBrowser(host, 'sue');
  tom = new StaffBrowser(host, 'tom');
};
afterEach(async () => {
  await host.close();
  await closeAll();
});

const rejections = (): Promise<number> => host.rewards.managers.audit.count({ where: { call: 'commissions.reject' } });

test('of two staff who reject one commission at once, one does it, and the other is told', async () => {
  await begin(staffOptions);
  const { id } = await commission(host);
  const previews = await Promise.all(
    [sue, tom].map((one) => one.preview('commissions.reject', { id: `${id}` }, { reason: 'fraud' })),
  );
  const answers = await Promise.all(
    [sue, tom].map((one, index) => {
      const { action, fields } = confirmationOf(previews[index]!);
      return one.send(action, fields);
    }),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([303, 409]);
  expect(textOf(answers.find(({ status }) => status === 409)!)).toContain('It changes nothing: it is so already.');
  expect(await rejections()).toBe(1);
});

test('a form that is sent many times at once books once', async () => {
  await begin(staffOptions);
  for (const name of ['commissions.adjust', 'credits.create', 'channels.createMany', 'programs.create'] as const) {
    const { query, fields, isDone } = await staffCases[name](host);
    const { action, fields: sent } = confirmationOf(await sue.preview(name, query, { ...fields, reason: 'thanks' }));
    const answers = await Promise.all([1, 2, 3, 4].map(() => sue.send(action, sent)));
    expect([name, answers.map(({ status }) => status)]).toEqual([name, [303, 303, 303, 303]]);
    expect(new Set(answers.map(({ headers }) => headers['location'] as string)).size).toBe(1);
    expect(await isDone()).toBe(true);
  }
});

test('what has changed since the preview is shown, and can be confirmed then', async () => {
  await begin(staffOptions);
  const { id, buyer, purchase } = await commission(host);
  const preview = await sue.preview('commissions.reject', { id: `${id}` }, { reason: 'fraud' });
  await host.rewards.refunds.record(buyer, { purchase, reference: 'half', amount: 50 });
  const { action, fields } = confirmationOf(preview);
  const again = await sue.send(action, fields);
  expect([again.status, textOf(again)]).toEqual([
    409,
    expect.stringContaining('Something has changed since you looked'),
  ]);
  expect(await rejections()).toBe(0);
  const { fields: now } = confirmationOf(again);
  expect((await sue.send(action, now)).status).toBe(303);
  expect(await rejections()).toBe(1);
});

test('a change gives only what was changed in the form', async () => {
  await begin(staffOptions);
  const { programs } = host.rewards.managers;
  const { id } = await programs.create({ name: 'spring', beforeRewardUsageThreshold: '10' });
  const stale = await tom.form('programs.update', { id: `${id}` });
  await programs.update(id, { beforeRewardUsageThreshold: '20' });
  const preview = await tom.send(stale.action, { ...stale.fields, name: 'summer', reason: 'season' });
  const { action, fields } = confirmationOf(preview);
  expect((await tom.send(action, fields)).status).toBe(303);
  const { name, beforeRewardUsageThreshold } = await programs.get(id);
  expect([name, beforeRewardUsageThreshold]).toEqual(['summer', '20.00']);
});

test('the form comes back with what was typed, by the button to change it', async () => {
  await begin(staffOptions);
  const preview = await sue.preview('commissions.adjust', { user: 'anna' }, { amount: '12.50', reason: 'thanks' });
  const change = formsOf(preview).find(({ action }) => action.endsWith('/preview'))!;
  const form = await sue.send(change.action, change.fields);
  expect(formsOf(form)[0]!.fields).toMatchObject({ user: 'anna', amount: '12.50', reason: 'thanks' });
});

test('with German words, a decimal comma is one, and refusals are in German', async () => {
  await begin({ ...staffOptions, pages: { locale: () => 'de-AT', timeZone: () => 'Europe/Vienna' } });
  const right = await sue.preview('commissions.adjust', { user: 'anna' }, { amount: '12,50', reason: 'Danke' });
  expect(textOf(right)).toMatch(/Bonus oder Abzug buchen.*€ 12,50/);
  const wrong = await sue.preview('commissions.adjust', { user: 'anna' }, { amount: 'viel', reason: 'Danke' });
  expect([wrong.status, textOf(wrong)]).toEqual([400, expect.stringContaining('Geben Sie einen Betrag wie 12,50 an')]);
});

test('times are those of the page’s time zone, also where its clocks change', async () => {
  await begin({ ...staffOptions, pages: { timeZone: () => 'Europe/Berlin' } });
  const { query } = await staffCases['credits.update'](host);
  const form = await sue.form('credits.update', query);
  for (const [typed, time] of [
    ['2027-07-01T12:30', '2027-07-01T10:30:00.000Z'],
    ['2027-01-01T00:00', '2026-12-31T23:00:00.000Z'],
    ['2027-03-28T03:30', '2027-03-28T01:30:00.000Z'],
  ]) {
    const preview = await sue.send(form.action, { ...form.fields, expiryDate: typed!, reason: 'longer' });
    const { action, fields } = confirmationOf(preview);
    expect((await sue.send(action, fields)).status).toBe(303);
    const { expiryDate } = await host.rewards.managers.credits.get(Number(query['id']));
    expect(expiryDate.toISOString()).toBe(time);
  }
  expect((await sue.form('credits.update', query)).fields['expiryDate']).toBe('2027-03-28T03:30');
});

test('somebody who holds the rows makes a preview give up with 503, and what was typed stays', async () => {
  await begin(staffOptions);
  const { id, buyer } = await commission(host);
  const form = await sue.form('commissions.reject', { id: `${id}` });
  const { schema } = host.dataSource.options as { schema: string };
  await host.dataSource.transaction(async (manager) => {
    await manager.query(`SELECT FROM "${schema}".referral_buyers WHERE user_id = $1 FOR UPDATE`, [buyer]);
    const answer = await sue.send(form.action, { ...form.fields, reason: 'fraud' });
    expect([answer.status, textOf(answer)]).toEqual([503, expect.stringContaining('busy or away')]);
    expect(answer.text).toContain('fraud</textarea>');
    expect(answer.headers['retry-after']).toBe('5');
  });
});

test('functions of the host’s are asked with nothing held, also with one connection', async () => {
  let asked = 0;
  const isSamePerson = async (): Promise<boolean> => {
    asked++;
    await host.dataSource.query('SELECT 1');
    return false;
  };
  const generateCode = async (): Promise<string> => {
    await host.dataSource.query('SELECT 1');
    return `code-${++asked}`;
  };
  await begin({ ...staffOptions, isSamePerson, generateCode }, { poolSize: 1 });
  const { user } = await signup(host);
  await host.rewards.managers.referralCodes.create({ user: 'other', code: 'OTHER' });
  const fields = { reassigned: { code: 'OTHER' }, bulk: { count: '3', promoType: 'value_off', promoValue: '1' } };
  for (const [name, query, filled] of [
    ['signups.reassign', { user }, fields.reassigned],
    ['channels.createMany', { user: 'other' }, fields.bulk],
  ] as const) {
    asked = 0;
    const preview = await sue.preview(name, query, { ...filled, reason: 'asked for' });
    const { action, fields: sent } = confirmationOf(preview);
    expect((await sue.send(action, sent)).status).toBe(303);
    expect(asked).toBeGreaterThan(0);
  }
});

test('coupons in bulk can be downloaded', async () => {
  await begin(staffOptions);
  const { query, fields } = await staffCases['channels.createMany'](host);
  const { action, fields: sent } = confirmationOf(
    await sue.preview('channels.createMany', query, { ...fields, reason: 'spring' }),
  );
  const location = (await sue.send(action, sent)).headers['location']!.replace('/admin/referrals', '');
  const page = await sue.get(location);
  expect(textOf(page)).toContain('25 coupons were made.');
  const [, href] = /href="([^"]*codes\.csv[^"]*)"/.exec(page.text)!;
  const csv = await sue.get(href!.replaceAll('&amp;', '&').replace('/admin/referrals', ''));
  expect(csv.text.trim().split('\n')).toHaveLength(26);
  for (const wrong of ['', '?first=x&last=y', '?first=0&last=0', '?first=1e99&last=3', '?first=-1&last=5'])
    expect((await sue.get(`/actions/channels.createMany/codes.csv${wrong}`)).status).toBe(404);
});

test('several commissions are rejected together, or none', async () => {
  await begin(staffOptions);
  const [one, two] = [await commission(host), await commission(host)];
  const ids = `id=${one.id}&id=${two.id}`;
  const page = await sue.get(`/actions/commissions.reject?${ids}`);
  const form = formsOf(page)[0]!;
  const { action, fields } = confirmationOf(await sue.send(form.action, { ...form.fields, reason: 'fraud' }));
  expect((await sue.send(action, fields)).status).toBe(303);
  expect(await rejections()).toBe(2);
  expect((await sue.get(`/actions/commissions.reject?id=${one.id}&id=999999`)).status).toBe(404);
});
