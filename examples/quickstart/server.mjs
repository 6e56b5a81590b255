import { randomUUID } from 'node:crypto';
import express from 'express';
import session from 'express-session';
import { DataSource, EntitySchema } from 'typeorm';
import { createReferrals, entities, migrations, Referral, runMigrations } from 'express-referrals';

const port = Number(process.env.PORT ?? 3000);
const baseUrl = process.env.BASE_URL ?? `http://localhost:${port}`;
const secret = secretOf('REFERRALS_SECRET');
const sessionSecret = secretOf('SESSION_SECRET');

// The database: one table of your own, and the tables of the package.
const User = new EntitySchema({
  name: 'User',
  tableName: 'quickstart_users',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    name: { type: 'text' },
  },
});
class CreateUsers1790000000001 {
  name = 'CreateUsers1790000000001';
  up = (queryRunner) => queryRunner.query('CREATE TABLE quickstart_users (id serial PRIMARY KEY, name text NOT NULL)');
  down = (queryRunner) => queryRunner.query('DROP TABLE quickstart_users');
}
const dataSource = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  connectTimeoutMS: 3000, // without it, pg waits for a connection without a limit
  entities: [...entities, User],
  migrations: [...migrations, CreateUsers1790000000001],
});
await dataSource.initialize();
await runMigrations(dataSource);
const users = dataSource.getRepository(User);

const app = express();
app.use(refuseOtherSites);
const cookie = { sameSite: 'lax', secure: 'auto' };
app.use(session({ secret: sessionSecret, resave: false, saveUninitialized: false, cookie }));
app.use(express.urlencoded({ extended: false, limit: '10kb' }));

const commission = { ratio: '0.25' }; // a referrer earns a quarter of what their referees pay
const referrals = createReferrals({ dataSource, baseUrl, secret, user: (req) => req.session.userId, commission });
app.use(referrals.middleware); // after the session; recognises visitors who came through a link
app.use('/r', referrals.router); // serves the links: /r/CODE

app.post('/register', async (req, res, next) => {
  const [name, code] = [textOf(req, 'name', 1, 80), textOf(req, 'code', 0, 100)];
  if (code && !(await Referral.findByCode(code))) throw problem(400, 'Nobody has this referral code.');
  const user = await users.save({ name });
  await Referral.recordSignup(req, user, { code }); // binds the user to who referred them
  // A new session id, so that nobody who knows the old one is signed in.
  req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.userId = user.id;
    res.redirect('/me');
  });
});
app.post('/buy', async (req, res) => {
  const order = { reference: textOf(req, 'order', 1, 100), amount: '20.00' }; // sent twice, it is recorded once
  if (!req.session.userId) return res.redirect('/');
  await referrals.recordPurchase(req.session.userId, order); // earns the referrer 5.00
  res.redirect('/me');
});

const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const page = (res, html) =>
  res.type('html').send(`<!doctype html><html lang="en"><title>Quickstart</title>
    <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
    <body style="font-family: system-ui, sans-serif; line-height: 1.6; overflow-wrap: anywhere">${html}`);

app.get('/', async (req, res) => {
  const referral = await req.referralForRequest(); // null for a visitor who was not referred
  const referrer = referral && (await users.findOneBy({ id: Number(referral.userId) }));
  page(
    res,
    `${referrer ? `<p>${escape(referrer.name)} invited you.</p>` : ''}
    <form method="post" action="/register">
      <p><label>Name<br><input name="name" maxlength="80" required></label></p>
      <p><label>Referral code, if you have one<br><input name="code" maxlength="100"></label></p>
      <button>Register</button>
    </form>`,
  );
});

app.get('/me', async (req, res) => {
  const user = req.session.userId && (await users.findOneBy({ id: req.session.userId }));
  if (!user) return res.redirect('/');
  const { url } = await Referral.create({ user, redirectTo: '/' }); // the same link at each call
  const { usersReferred, totalCreditsEarned } = await referrals.accounts.totals(user);
  page(
    res,
    `<p>Hello ${escape(user.name)}. Share your link: ${escape(url)}</p>
    <p>Users you referred: ${usersReferred}. You have earned ${totalCreditsEarned}.</p>
    <form method="post" action="/buy">
      <input type="hidden" name="order" value="${randomUUID()}">
      <button>Buy something for 20.00</button>
    </form>`,
  );
});

// Errors of this program, of Express and of the package have a status. One without it is a bug.
app.use((error, req, res, next) => {
  if (res.headersSent) return next(error);
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  const message = status < 500 ? error.message : 'Something went wrong. Please try again.';
  page(res.status(status), `<p>${escape(message)}</p><p><a href="/">Go back</a></p>`);
});

app.listen(port, (error) => {
  if (error) throw error; // the port is in use
  console.log(baseUrl);
});

/** Returns a secret from the environment. Everybody can read the one for development here, so production refuses it. */
function secretOf(variable) {
  const published = 'a development secret of 32 characters or more';
  const secret = process.env[variable] || published;
  if (process.env.NODE_ENV === 'production' && (secret === published || secret.length < 32))
    throw new Error(`In production, set ${variable} to a random text of 32 characters or more.`);
  return secret;
}

/** Refuses forms that a page of another site sends with the visitor's cookies (CSRF). */
function refuseOtherSites(req, res, next) {
  // Browsers send Sec-Fetch-Site to https and localhost, and otherwise Origin. A page of another site can set neither.
  const site = req.get('Sec-Fetch-Site');
  const isOwn = site === undefined ? req.get('Origin') === new URL(baseUrl).origin : site === 'same-origin';
  if (isOwn || req.method === 'GET' || req.method === 'HEAD') return next();
  next(problem(403, 'This form was sent by another site.'));
}

/** Returns a field of the posted form. A body that is no form has no fields, and a field that is repeated is no text. */
function textOf(req, field, minLength, maxLength) {
  const text = req.body?.[field] ?? '';
  const isText = typeof text === 'string' && !text.includes('\0'); // PostgreSQL stores no NUL
  if (!isText || text.trim().length < minLength || text.length > maxLength)
    throw problem(400, `The field ${field} takes ${minLength} to ${maxLength} characters of text.`);
  return text.trim();
}

function problem(status, message) {
  return Object.assign(new Error(message), { status });
}
