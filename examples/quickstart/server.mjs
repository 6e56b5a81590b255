import { randomUUID } from 'node:crypto';
import express from 'express';
import session from 'express-session';
import { DataSource, EntitySchema } from 'typeorm';
import { createReferrals, entities, migrations, Referral, runMigrations } from 'express-referrals';

const port = Number(process.env.PORT ?? 3000);
const baseUrl = process.env.BASE_URL ?? `http://localhost:${port}`;
const secret = process.env.REFERRALS_SECRET ?? 'a development secret of 32 characters or more';

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
app.use(session({ secret: 'development only', resave: false, saveUninitialized: false }));
app.use(express.urlencoded());

const commission = { ratio: '0.25' }; // a referrer earns a quarter of what their referees pay
const referrals = createReferrals({ dataSource, baseUrl, secret, user: (req) => req.session.userId, commission });
app.use(referrals.middleware); // after the session; recognises visitors who came through a link
app.use('/r', referrals.router); // serves the links: /r/CODE

app.post('/register', async (req, res) => {
  const user = await users.save({ name: req.body.name });
  await Referral.recordSignup(req, user, { code: req.body.code }); // binds the user to who referred them
  signIn(req, res, user);
});
app.post('/buy', async (req, res) => {
  const order = { reference: req.body.order, amount: '20.00' }; // sent twice, the same order is recorded once
  await referrals.recordPurchase(req.session.userId, order); // earns the referrer 5.00
  res.redirect('/me');
});

function signIn(req, res, user) {
  req.session.regenerate(() => {
    req.session.userId = user.id;
    res.redirect('/me');
  });
}

const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const page = (res, html) => res.type('html').send(`<!doctype html><title>Quickstart</title>${html}`);

app.get('/', async (req, res) => {
  const referral = await req.referralForRequest(); // null for a visitor who was not referred
  const referrer = referral && (await users.findOneBy({ id: Number(referral.userId) }));
  page(
    res,
    `${referrer ? `<p>${escape(referrer.name)} invited you.</p>` : ''}
    <form method="post" action="/register">
      <label>Name <input name="name" required></label>
      <label>Referral code, if you have one <input name="code"></label>
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

app.listen(port, (error) => {
  if (error) throw error; // the port is in use
  console.log(baseUrl);
});
