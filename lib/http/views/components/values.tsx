import type { ComponentChildren } from 'preact';
import type { Amount } from '../../../types/common';
import { formatMoney, formatNumber, formatRelative, formatTime } from '../formats';
import { webAddress } from '../safe-url';
import { useView } from '../view';

/** An amount; default: in the program's currency. */
export function Money({ amount, currency }: { amount: Amount; currency?: string | undefined }) {
  return <span class="rf-money">{formatMoney(useView(), amount, currency)}</span>;
}

/** A whole number. */
export function Count({ value }: { value: number }) {
  return <span class="rf-number">{formatNumber(useView(), value)}</span>;
}

interface WhenProps {
  time: Date | null | undefined;
  /** Whether the time of day is shown. Default: the day alone. */
  isExact?: boolean;
  /** Whether a time that is near is said as "in 3 days", with the date behind it. */
  isRelative?: boolean;
}

/** A time in the reader's locale and time zone; a dash for none. */
export function When({ time, isExact = false, isRelative = false }: WhenProps) {
  const view = useView();
  if (!time) return <None />;
  const relative = isRelative ? formatRelative(view, time) : null;
  const style = isExact ? 'time' : 'day';
  const absolute = (
    <time dateTime={time.toISOString()} data-rf-time={view.isZoneKnown ? undefined : style}>
      {formatTime(view, time, style)}
    </time>
  );
  if (relative === null) return absolute;
  return (
    <span class="rf-when">
      {relative} <small>{absolute}</small>
    </span>
  );
}

/** Nothing, where a value could be. */
export function None() {
  return (
    <span class="rf-none" aria-label={useView().texts.kit.none}>
      –
    </span>
  );
}

/** A code, an id, or another text that is read letter by letter. */
export function Code({ children }: { children?: ComponentChildren }) {
  return <code class="rf-code">{children}</code>;
}

/** An address that is stored: a link if it is of the web, else its text. */
export function Address({ url }: { url: string | null | undefined }) {
  if (!url) return <None />;
  const address = webAddress(url);
  if (address === null) return <span class="rf-address">{url}</span>;
  return (
    <a class="rf-address" href={address} rel="noopener noreferrer nofollow">
      {url}
    </a>
  );
}
