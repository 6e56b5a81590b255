import type { Condition } from '../../../rewards/stories/conditions';
import type { Health } from '../../../rewards/stories/health';
import type { Stories } from '../../../rewards/stories/stories';
import type { VerificationRun } from '../../../rewards/stories/verification-runs';
import { Badge, Button, Facts, Form, Section, When } from '../../views/components';
import { formatNumber } from '../../views/formats';
import type { Answer, PageCall } from '../../views/page-router';
import { useView } from '../../views/view';
import { lists } from '../lists/lists';
import type { StaffFrame } from '../staff-frame';
import { version } from '../version';
import { type StoryList, storyLists, type StoryPart, StorySection } from './story-list';
import { VerificationResult } from './verification-result';

const rowsOfKind = 10;

/** Answers with the state of the whole: the last check, payouts that need somebody, database, connections, versions. */
export async function healthPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const health = await stories.health();
  const waits = lists.earnOuts.filters.find(({ key }) => key === 'waits')!;
  const parts: Record<string, StoryPart> = {};
  for (const choice of ['retry', 'again', 'report', 'provider']) {
    const conditions: readonly Condition[] = waits.kind === 'choice' ? waits.choices[choice]!(call.view.now) : [];
    const page = await stories.lists.page('earnOuts', conditions, { take: rowsOfKind, after: null });
    parts[choice] = [lists.earnOuts, page, { waits: choice }];
  }
  const payouts = Object.values(await storyLists(stories.lists, parts));
  const { title } = call.view.texts.admin.health;
  const run = stories.verifications.last;
  return { page: frame({ title, children: <State health={health} run={run} payouts={payouts} /> }, call) };
}

interface StateProps {
  health: Health;
  run: VerificationRun | null;
  payouts: readonly StoryList[];
}

function State({ health, run, payouts }: StateProps) {
  const view = useView();
  const { health: words } = view.texts.admin;
  const [failed, retried, unsettled, unclear] = payouts;
  const { pool } = health;
  const isRunning = run?.endedAt === null;
  return (
    <>
      <Section title={words.verify} lead={words.verifyLead}>
        {run && !isRunning && <VerificationResult run={run} />}
        {isRunning && <p>{words.running}</p>}
        {!run && <p>{words.noCheck}</p>}
        <Form action={view.url('/health/verify')} isInline>
          <Button tone="main">{isRunning ? words.join : words.start}</Button>
        </Form>
      </Section>
      <PayoutSection list={failed!} title={words.failedPayouts} lead={words.failedPayoutsLead} />
      <PayoutSection list={retried!} title={words.retriedPayouts} lead={words.retriedPayoutsLead} />
      <PayoutSection list={unsettled!} title={words.waitingPayouts} lead={words.waitingPayoutsLead} />
      <PayoutSection list={unclear!} title={words.unclearPayouts} lead={words.unclearPayoutsLead} />
      <Section title={words.database}>
        <Facts
          facts={[
            { name: words.postgres, value: health.postgres },
            {
              name: words.migrations,
              value:
                health.missingParts.length === 0 ? (
                  <Badge tone="good">{words.complete}</Badge>
                ) : (
                  <Badge tone="bad">{words.missingParts}</Badge>
                ),
            },
            ...health.missingParts.slice(0, 20).map((part) => ({ name: words.missingParts, value: part })),
            { name: words.newestMigration, value: health.newestMigration ?? words.unknown },
            ...health.pendingMigrations.map((name) => ({ name: words.pendingMigrations, value: name })),
          ]}
        />
      </Section>
      <Section title={words.pool}>
        <Facts
          facts={[
            { name: words.open, value: formatNumber(view, pool.open) },
            { name: words.idle, value: formatNumber(view, pool.idle) },
            { name: words.waiting, value: formatNumber(view, pool.waiting) },
            pool.max === null ? null : { name: words.most, value: formatNumber(view, pool.max) },
          ]}
        />
      </Section>
      <Section title={words.version}>
        <Facts
          facts={[
            { name: 'express-referrals', value: version },
            { name: words.node, value: process.version },
            { name: words.process, value: String(process.pid) },
            { name: words.startedAt, value: <When time={new Date(Date.now() - process.uptime() * 1000)} isExact /> },
          ]}
        />
      </Section>
    </>
  );
}

/** Payouts of one kind; nothing without any. */
function PayoutSection({ list, title, lead }: { list: StoryList; title: string; lead: string }) {
  if (list.shown.rows.length === 0) return null;
  return (
    <>
      <Section title={title} lead={lead} isPlain />
      <StorySection list={list} title={title} without={['mode', 'settledAt', 'commissions']} />
    </>
  );
}
