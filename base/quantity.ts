// Durations and sizes as people write them: `30d`, `100GB`. Pure.

const DURATION_MS = {
  y: 31_536_000_000,
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
} as const;

const SIZE_BYTES = {
  TiB: 1_099_511_627_776,
  TB: 1_000_000_000_000,
  GiB: 1_073_741_824,
  GB: 1_000_000_000,
  MiB: 1_048_576,
  MB: 1_000_000,
} as const;

/** What parseDuration takes, as the source of a regular expression. */
export const DURATION_PATTERN = '[1-9]\\d{0,4}[hdwy]';
/** What parseSize takes, as the source of a regular expression. */
export const SIZE_PATTERN = '[1-9]\\d{0,5}[MGT]i?B';

/** The milliseconds of `36h`, `30d`, `4w` or `2y`, a year having 365 days; else undefined. */
export function parseDuration(text: string): number | undefined {
  if (!new RegExp(`^${DURATION_PATTERN}$`).test(text)) return undefined;
  const unit = text.slice(-1) as keyof typeof DURATION_MS;
  return Number(text.slice(0, -1)) * DURATION_MS[unit];
}

/** The bytes of `500MB`, `2TB` (powers of 1000) or `64GiB` (powers of 1024); else undefined. */
export function parseSize(text: string): number | undefined {
  const parts = new RegExp(`^${SIZE_PATTERN}$`).test(text) && /^(\d+)(.*)$/.exec(text);
  if (!parts) return undefined;
  return Number(parts[1]) * SIZE_BYTES[parts[2] as keyof typeof SIZE_BYTES];
}

/** Whole hours, given in milliseconds, in the largest unit that has no fraction: `30d`. */
export function formatDuration(ms: number): string {
  for (const [unit, unitMs] of Object.entries(DURATION_MS))
    if (unit !== 'w' && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  return `${ms} ms`;
}

/** `bytes` in a unit that leaves few digits: exactly where that is possible, else rounded. */
export function formatSize(bytes: number): string {
  for (const [unit, unitBytes] of Object.entries(SIZE_BYTES))
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  for (const unit of ['TB', 'GB', 'MB'] as const)
    if (bytes >= SIZE_BYTES[unit]) return `${(bytes / SIZE_BYTES[unit]).toFixed(1)}${unit}`;
  return `${bytes}B`;
}
