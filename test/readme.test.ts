import { readFileSync } from 'node:fs';
import path from 'node:path';
import ejs from 'ejs';
import pug from 'pug';
import { referralErrorCodes } from '../lib/errors';
import { optionNames } from '../lib/option-checks';
import { closeAll, Product, startHost } from './support/host';

afterAll(closeAll);

const root = path.join(__dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const readme = read('README.md');

test('the README shows the quickstart as it is', () => {
  expect(readme).toContain(`\`\`\`js\n${read('examples/quickstart/server.mjs')}\`\`\``);
});

test.each(optionNames)('the README describes the option %s', (option) => {
  expect(readme).toContain(`\n| \`${option}\` |`);
});

test.each(referralErrorCodes)('the README describes the error %s', (code) => {
  expect(readme.slice(readme.indexOf('## Errors'))).toContain(`\`${code}\``);
});

test('the examples for templates work, and give the same', async () => {
  const host = await startHost({ targetTypes: [Product] }, (app) => {
    app.get('/:engine', (req, res) => {
      const locals = {
        ...res.locals,
        product: Object.assign(new Product(), { id: 7, name: 'Teapot' }),
        responses: [{ action: 'RESPONDED' }, { action: 'BOUGHT' }],
      };
      const file = `examples/templates/create-form.${req.params.engine}`;
      res.send(req.params.engine === 'ejs' ? ejs.render(read(file), locals) : pug.render(read(file), locals));
    });
  });
  const [fromEjs, fromPug] = await Promise.all(
    ['ejs', 'pug'].map(async (engine) => (await host.browser().get(`/${engine}`)).text.replace(/\s*\n\s*/g, '')),
  );
  expect(fromEjs).toBe(fromPug);
  expect(fromEjs).toContain('<li>Clicked the link</li><li>BOUGHT</li>');
  expect(fromEjs).toContain('name="target_type" value="Product"');
});
