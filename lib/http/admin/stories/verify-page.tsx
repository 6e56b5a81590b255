import { setTimeout as after } from 'node:timers/promises';
import type { Response } from 'express';
import type { Stories } from '../../../rewards/stories/stories';
import type { VerificationRun } from '../../../rewards/stories/verification-runs';
import { Button, Section } from '../../views/components';
import { setPageHeaders } from '../../views/headers';
import type { Answer, PageCall } from '../../views/page-router';
import { renderPage, renderPart } from '../../views/render';
import { useView } from '../../views/view';
import type { StaffFrame } from '../staff-frame';
import { VerificationResult } from './verification-result';

/** How often the progress is written, so that no proxy takes the connection for idle. */
const everyMs = 1000;

/** Stands in the page where the progress goes. No text of a page contains it, because texts are escaped. */
const place = '<hr class="rf-progress"/>';

/**
 * Starts a check, or joins the one that runs in this process, and writes its progress into the response until it ends. So it needs
 * neither a script nor a second request, which could reach another process. If the client leaves, the check goes on, and the
 * health page of this process has its result.
 */
export async function verifyPage(
  stories: Stories,
  onError: (error: unknown) => void,
  call: PageCall,
  frame: StaffFrame,
): Promise<Answer> {
  const { view, res, reader } = call;
  const run = stories.verifications.start(reader.id);
  const { health } = view.texts.admin;
  const page = renderPage(view, frame({ title: health.verify, children: <Begin run={run} /> }, call));
  const [head, tail] = page.split(place) as [string, string];
  setPageHeaders(res);
  // What compresses or buffers the response would keep the progress back.
  res.set({ 'Cache-Control': 'private, no-store, no-transform', 'X-Accel-Buffering': 'no' }).type('html');
  res.write(head);
  await writeProgress(run, call);
  if (run.error !== null) onError(run.error);
  const result = (
    <Section>
      <VerificationResult run={run} />
      <Button href={view.url('/health')}>{health.title}</Button>
    </Section>
  );
  if (isOpen(res)) res.end(renderPart(view, result) + tail);
  return { html: '' }; // is sent already
}

function Begin({ run }: { run: VerificationRun }) {
  const { health } = useView().texts.admin;
  return (
    <Section title={health.running} lead={health.stay}>
      <p>
        {health.startedBy} {run.by}
      </p>
      <ol class="rf-steps" role="log">
        <hr class="rf-progress" />
      </ol>
    </Section>
  );
}

/** Writes each step once. A step that takes long is a line that stays. */
async function writeProgress(run: VerificationRun, { view, res }: PageCall): Promise<void> {
  const { health } = view.texts.admin;
  let written = -1;
  while (run.endedAt === null && isOpen(res)) {
    const { done, of } = run.progress;
    if (done > written) res.write(renderPart(view, <li>{health.progress(done, of)}</li>));
    else res.write(' '); // a sign of life
    written = done;
    await Promise.race([run.ended, after(everyMs)]);
  }
}

function isOpen(res: Response): boolean {
  return !res.writableEnded && !res.destroyed;
}
