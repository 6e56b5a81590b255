const pattern = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?)?$/;

/** Whether a text is a time as a field of the type `datetime-local` sends it, or a day. */
export function isLocalTime(text: string): boolean {
  return pattern.test(text);
}

/** Returns the time that the clocks of a time zone show as this text; a day begins at midnight. */
export function timeOfLocal(text: string, timeZone: string): Date {
  const [year, month, day, hour, minute] = pattern
    .exec(text)!
    .slice(1)
    .map((part) => Number(part ?? 0)) as [number, number, number, number, number];
  const asUtc = new Date(Date.UTC(2000, month - 1, day, hour, minute));
  asUtc.setUTCFullYear(year); // Date.UTC takes the years 0 to 99 for those of 1900
  const isReal = asUtc.getUTCMonth() === month - 1 && asUtc.getUTCDate() === day && hour < 24 && minute < 60;
  if (!isReal) return new Date(NaN);
  // The offset of about that time, then of the time with that offset: they differ where the clocks change.
  const first = new Date(asUtc.getTime() - offsetMs(asUtc, timeZone));
  return new Date(asUtc.getTime() - offsetMs(first, timeZone));
}

/** Returns what the clocks of a time zone show, as a field of the type `datetime-local` takes it. */
export function localOfTime(time: Date, timeZone: string): string {
  return new Date(time.getTime() + offsetMs(time, timeZone)).toISOString().slice(0, 16);
}

/** How far the clocks of a time zone are ahead of UTC. */
function offsetMs(time: Date, timeZone: string): number {
  if (Number.isNaN(time.getTime())) return 0;
  const parts = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric', era: 'short' },
  }).formatToParts(time);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const shown = new Date(Date.UTC(2000, of('month') - 1, of('day'), of('hour'), of('minute'), of('second')));
  shown.setUTCFullYear(of('year'));
  return shown.getTime() - Math.floor(time.getTime() / 1000) * 1000;
}
