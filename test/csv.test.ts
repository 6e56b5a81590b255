import { fork } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import express from 'express';
import request from 'supertest';
import { csvCell } from '../lib/csv';
import { type CsvFile, csvPieces, sendCsv } from '../lib/http/views/csv';
import { waitFor } from './support/host';

test.each([
  ['a', 'a'],
  [null, ''],
  [undefined, ''],
  [7, '7'],
  [-7, '-7'],
  [12n, '12'],
  [true, 'true'],
  [new Date(0), '1970-01-01T00:00:00.000Z'],
  ['-12.50', '-12.50'],
  ['a,b', '"a,b"'],
  ['say "no"', '"say ""no"""'],
  ['two\r\nlines', '"two\r\nlines"'],
  [' a ', '" a "'],
  ['=1+1', "'=1+1"],
  ['+49 30', "'+49 30"],
  ['@sum', "'@sum"],
  ['-1+1', "'-1+1"],
  ['-', "'-"],
  ['\t=1', '"\'\t=1"'],
  ['\r=1', '"\'\r=1"'],
  ['＝1', "'＝1"],
  ['=cmd|"/c calc"!A1', '"\'=cmd|""/c calc""!A1"'],
])('the cell of %p is %p', (value, cell) => expect(csvCell(value)).toBe(cell));

const columns = [
  { title: 'number', value: ({ n }: { n: number }) => n },
  { title: 'text', value: ({ n }: { n: number }) => `row ${n}` },
];
const file = (rows: CsvFile<{ n: number }>['rows']): CsvFile<{ n: number }> => ({ name: 'rows', columns, rows });

async function* counting(until: number, note: (n: number) => void = () => undefined) {
  await Promise.resolve();
  for (let n = 1; n <= until; n++) {
    note(n);
    yield { n };
  }
}

function serve(send: (req: express.Request, res: express.Response) => Promise<void>): express.Express {
  const app = express();
  app.get('/rows.csv', (req, res, next) => void send(req, res).catch(next));

  app.use((error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    res.status(503).send(error.message);
  });
  return app;
}

test('a file with its name, its head and its lines', async () => {
  const app = serve((_req, res) => sendCsv(res, file(counting(2))));
  const { headers, text } = await request(app).get('/rows.csv').expect(200);
  expect(headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(headers['content-disposition']).toBe('attachment; filename=rows.csv');
  expect(text).toBe('number,text\r\n1,row 1\r\n2,row 2\r\n');
  expect((await request(app).head('/rows.csv').expect(200)).headers['content-type']).toMatch('text/csv');
});

test('no rows are a heading', async () => {
  const pieces: string[] = [];
  for await (const piece of csvPieces(file(counting(0)))) pieces.push(piece);
  expect(pieces.join('')).toBe('number,text\r\n');
});

test('an error before the first piece is answered, and a later one breaks the file off', async () => {
  const failing = (after: number) =>
    serve((_req, res) =>
      sendCsv(
        res,
        file(
          counting(after + 1, (n) => {
            if (n > after) throw new Error('no database');
          }),
        ),
      ),
    );
  await request(failing(0)).get('/rows.csv').expect(503, 'no database');
  await expect(request(failing(20_000)).get('/rows.csv')).rejects.toThrow(/aborted|hang up/);
});

test('reads no further than the client, and ends when the client leaves', async () => {
  let read = 0;
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    const app = serve(async (_req, res) => {
      const rows = (async function* () {
        try {
          yield* counting(100_000_000, (n) => (read = n));
        } finally {
          isOver = true;
        }
      })();
      await sendCsv(res, file(rows));
      resolve();
    });
    const server = app.listen(0, () => {
      const { port } = server.address() as AddressInfo;
      const asked = http.get({ port, path: '/rows.csv' }, (answer) => {
        answer.pause();
        let before = -1;
        const look = (): void => {
          if (read !== before) {
            before = read;
            setTimeout(look, 100);
            return;
          }
          expect(isOver).toBe(false);
          asked.destroy();
          server.close();
        };
        look();
      });
    });
  });
  await over;
  expect(isOver).toBe(true);
  expect(read).toBeLessThan(5_000_000);
});

test('a million rows out of PostgreSQL pass through a heap of 32 MB, and a client that waits holds no connection', async () => {
  const execArgv = ['--max-old-space-size=32'];
  const child = fork(path.join(__dirname, 'support', 'csv-server.js'), { execArgv });
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.once('message', (given) => resolve(given as number));
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const url = `http://127.0.0.1:${port}`;
    const waiting = await fetch(url);
    await waitFor(async () => {
      const { idle, all } = (await (await fetch(`${url}/idle`)).json()) as { idle: number; all: number };
      return all === 1 && idle === 1;
    });
    await waiting.body!.cancel();
    let lines = 0;
    let end = '';
    for await (const piece of (await fetch(url)).body!.pipeThrough(new TextDecoderStream())) {
      lines += piece.split('\n').length - 1; // a piece may end between the two characters of a line break
      end = (end + piece).slice(-300);
    }
    expect(lines).toBe(1_000_001);
    expect(end.trimEnd().split('\r\n').at(-1)).toBe(`1000000,${'x'.repeat(100)},10000.0000000000000000`);
    expect(child.exitCode).toBeNull();
  } finally {
    child.disconnect();
  }
});
