import { explained, type Stage } from '../lib/database/driver-errors';
import type { ReferralError } from '../lib';

/** What `pg` throws of a statement, and TypeORM around it. */
const thrown = (code: string, severity: string): Error =>
  Object.assign(new Error('what PostgreSQL says'), { code, severity, driverError: {} });

const outcomeOf = (code: string, severity: string, stage: Stage = 'statements'): string | undefined =>
  (explained(thrown(code, severity), stage, false) as ReferralError).outcome;

/** PostgreSQL's words for ERROR and FATAL by `lc_messages`; `pg` has only these. */
const words = [
  ['ERROR', 'FATAL'],
  ['FEHLER', 'FATAL'],
  ['ERREUR', 'FATAL'],
  ['ERRORE', 'FATALE'],
  ['ОШИБКА', 'ВАЖНО'],
  ['エラー', '致命的エラー'],
] as const;

describe.each(words)('where PostgreSQL says %s and %s', (error, fatal) => {
  test('a cancelled statement has not happened', () => {
    for (const stage of ['statements', 'transaction', 'committing'] as const)
      expect(outcomeOf('57014', error, stage)).toBe('none');
  });

  test('what ends the connection may have happened, unless it was in a transaction', () => {
    for (const code of ['57P01', '57P02', '25P03', '25P04', '08006']) {
      expect(outcomeOf(code, fatal)).toBe('unknown');
      expect(outcomeOf(code, fatal, 'committing')).toBe('unknown');
      expect(outcomeOf(code, fatal, 'transaction')).toBe('none');
    }
  });

  test('a full disk has stopped a statement at most, and never says none where the server may have died of it', () => {
    expect(outcomeOf('53100', error)).toBe(error === 'ERROR' ? 'none' : 'unknown');
    expect(outcomeOf('53100', fatal)).toBe('unknown');
  });

  test('a refusal is passed on as it is', () => {
    const refusal = thrown('23514', error);
    expect(explained(refusal, 'statements', false)).toBe(refusal);
  });
});

test('PANIC is the end of all connections', () => {
  expect(outcomeOf('XX000', 'PANIC')).toBe('unknown');
  expect(outcomeOf('53100', 'PANIC', 'committing')).toBe('unknown');
});
