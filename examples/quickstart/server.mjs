import express from 'express';
import session from 'express-session';
import { DataSource, EntitySchema } from 'typeorm';
import { createReferrals, entities, migrations, Referral, runMigrations } from 'express-referrals';

const port = Number(process.env.PORT ?? 3000);

// The host's own: a table of users. Everything else in the database belongs to the package.
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
  connectTimeoutMS: 3000, // pg's own default is to wait for good
  entities: [...entities, User],
  migrations: [...migrations, CreateUsers1790000000001],
});
await dataSource.initialize();
await runMigrations(dataSource);

const referrals = createReferrals({
  dataSource,
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}`,
  secret: process.env.REFERRALS_SECRET ?? 'a development secret of 32 characters or more',
  user: (req) => req.session.userId,
});

const app = express();
app.use(session({ secret: 'development only', resave: false, saveUninitialized: false }));
app.use(referrals.middleware); // attaches req.referralForRequest()
app.use('/r', referrals.router); // GET /r/:code and POST /r/

const page = (res, text) => res.type('html').send(`<!doctype html><title>Quickstart</title>${text}`);
const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

app.get('/', async (req, res) => {
  const referral = await req.referralForRequest(); // null for somebody who was never referred
  const invited = referral ? `<p>You came through the link of user ${escape(referral.userId ?? '?')}.</p>` : '';
  page(
    res,
    `${invited}<form method="post" action="/register"><input name="name" required><button>Register</button></form>`,
  );
});

app.post('/register', express.urlencoded(), async (req, res) => {
  const referredBy = await req.referralForRequest();
  const user = await dataSource.transaction(async (manager) => {
    const user = await manager.save(User, { name: String(req.body.name) });
    await Referral.create({ user, redirectTo: '/', label: 'welcome mail' }, { manager });
    await referredBy?.respond(req, 'REGISTERED', { user, manager });
    return user;
  });
  req.session.regenerate(() => {
    req.session.userId = user.id;
    res.redirect('/me');
  });
});

app.get('/me', async (req, res) => {
  const user = req.session.userId && (await dataSource.getRepository(User).findOneBy({ id: req.session.userId }));
  if (!user) return res.redirect('/');
  const referral = await Referral.create({ user, redirectTo: '/', label: 'welcome mail' }); // the same one again
  const happened = await Referral.responsesForReferrer(user, { take: 20 });
  const list = happened.map(
    ({ action, userId }) => `<li>${escape(action)} by user ${escape(userId ?? 'unknown')}</li>`,
  );
  page(
    res,
    `<p>Hello ${escape(user.name)}. Your link: ${referral.url}</p><ul>${list.join('')}</ul>
    <form method="post" action="/buy"><button>Buy something</button></form>`,
  );
});

app.post('/buy', async (req, res) => {
  const response = await Referral.recordResponse(req, 'BOUGHT', { target: { type: 'order', id: Date.now() } });
  page(res, response ? 'Bought, and whoever sent you knows.' : 'Bought.'); // null when never referred
});

app.listen(port, () => console.log(`http://localhost:${port}`));
