// A process of its own, with a small heap: serves a million rows out of PostgreSQL as CSV, in pieces of a thousand.
const express = require('express');
const { Pool } = require('pg');
const { sendCsv } = require('../../dist/lib/http/views/csv');

const pool = new Pool({ connectionString: process.env.TEST_DATABASE_URL, max: 1 });

async function* rows() {
  for (let after = 0; after < 1_000_000; after += 1000) {
    const text = `SELECT n, repeat('x', 100) AS text, n / 100.0 AS amount FROM generate_series($1::int + 1, $1 + 1000) n`;
    yield* (await pool.query(text, [after])).rows;
  }
}

const columns = ['n', 'text', 'amount'].map((title) => ({ title, value: (row) => row[title] }));
const app = express();
app.get('/', (_req, res, next) => void sendCsv(res, { name: 'rows', columns, rows: rows() }).catch(next));
app.get('/idle', (_req, res) => res.json({ idle: pool.idleCount, all: pool.totalCount }));
const server = app.listen(0, () => process.send(server.address().port));
process.on('disconnect', () => process.exit());
