// Instants on the wall clock as microseconds since 1970-01-01T00:00:00Z, held in a plain number
// (safe until the year 2255), and their RFC 3339 text. Reads no clock: whoever needs "now" is
// handed it.

const SHAPE =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Microseconds between 1970 and 2000, the epoch of PostgreSQL's binary timestamps. */
export const POSTGRES_EPOCH_US = 946_684_800_000_000;

/** `us` as RFC 3339 in UTC with all six decimals: 2026-11-22T14:05:00.000001Z. */
export function formatInstant(us: number): string {
  const ms = Math.floor(us / 1000);
  const micros = us - ms * 1000;
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}

/**
 * The microseconds that an RFC 3339 instant names, or undefined if `text` is not one. An offset is
 * required; digits beyond the microsecond are cut off, never rounded up, so that a half-open
 * interval [from, to) keeps its bounds.
 */
export function parseInstant(text: string): number | undefined {
  const parts = SHAPE.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', offset = 'Z'] = parts;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(midnight);
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day))
    return undefined;
  const seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  const offsetMinutes = parseOffsetMinutes(offset);
  if (offsetMinutes === undefined) return undefined;
  const micros = Number(fraction.slice(0, 6).padEnd(6, '0'));
  return (midnight / 1000 + seconds - offsetMinutes * 60) * 1_000_000 + micros;
}

function parseOffsetMinutes(offset: string): number | undefined {
  if (offset === 'Z' || offset === 'z') return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(4, 6));
  if (hours > 23 || minutes > 59) return undefined;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
