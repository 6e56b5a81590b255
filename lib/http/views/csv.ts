import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { csvCell, type CsvValue } from '../../csv';

/** A column of a file: its heading, and its value for a row. */
export interface CsvColumn<Row> {
  readonly title: string;
  value(row: Row): CsvValue;
}

/** A file to download. */
export interface CsvFile<Row> {
  /** Its name without `.csv`. */
  readonly name: string;
  readonly columns: readonly CsvColumn<Row>[];
  /**
   * The rows, which are read as the client takes them. They hold no connection of the database while they wait for the
   * client: each piece of them comes from a statement of its own.
   */
  readonly rows: AsyncIterable<Row>;
}

/** So many characters are written at once. */
const pieceLength = 64 * 1024;

/**
 * Answers with a CSV file (RFC 4180, in UTF-8, lines ended by CR and LF), in the memory of one piece however many rows there
 * are. It reads no further than the client does, and ends the reading when the client leaves.
 *
 * @throws what reading the first rows throws, with nothing sent yet. A later error ends the connection, so that the client
 * sees that the file is not complete, and is thrown too.
 */
export async function sendCsv<Row>(res: Response, file: CsvFile<Row>): Promise<void> {
  const pieces = csvPieces(file)[Symbol.asyncIterator]();
  try {
    // The first piece is read before the head is sent, so that an error of the database can be answered.
    const first = await pieces.next();
    res.setHeader('Content-Type', 'text/csv; charset=utf-8');
    res.attachment(`${file.name}.csv`);
    if (res.req.method === 'HEAD') return void res.end();
    await pipeline(Readable.from(from(first, pieces)), res);
  } catch (error) {
    if (!hasLeft(error)) throw error;
  } finally {
    await pieces.return(undefined);
  }
}

/** The text of a file in pieces. */
export async function* csvPieces<Row>({ columns, rows }: Omit<CsvFile<Row>, 'name'>): AsyncGenerator<string> {
  let piece = lineOf(columns.map(({ title }) => title));
  for await (const row of rows) {
    piece += lineOf(columns.map((column) => column.value(row)));
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

const lineOf = (values: readonly CsvValue[]): string => `${values.map(csvCell).join(',')}\r\n`;

async function* from(first: IteratorResult<string>, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  if (!first.done) yield first.value;
  yield* rest;
}

/** Whether the client has closed the connection before the end, or before the start. */
const hasLeft = (error: unknown): boolean => left.has((error as { code?: unknown } | null)?.code);
const left = new Set<unknown>(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_UNABLE_TO_PIPE']);
