// How long what is archived stays: the settings, and what they say about one channel. Deletes
// nothing.

import { Type, type Static } from 'typebox';
import {
  DURATION_PATTERN,
  matchesChannelPattern,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '#base/mod.ts';
import { integer, PATTERN_FORM } from './setting-types.ts';

const AGE_PATTERN = `^(forever|${DURATION_PATTERN})$`;
const BYTES_PATTERN = `^(unlimited|${SIZE_PATTERN})$`;
const AGE_FORM = 'a duration such as 36h, 30d, 4w or 2y, nor forever';
const BYTES_FORM = 'a size such as 500MB, 100GB or 2TiB, nor unlimited';

/** The section `retention`. By default nothing is deleted. */
export const RETENTION = Type.Object({
  age: Type.String({
    pattern: AGE_PATTERN,
    form: AGE_FORM,
    description:
      'How long a day of a channel is kept after its end, as in `36h`, `30d`, `4w` or `2y`; ' +
      '`forever`: not deleted for its age.',
    default: 'forever',
    env: 'BACKCAST_RETENTION_AGE',
  }),
  bytes: Type.String({
    pattern: BYTES_PATTERN,
    form: BYTES_FORM,
    description:
      'What the payloads of a channel may have together, as in `500MB`, `100GB` or `2TiB`, ' +
      'before its oldest days are deleted; `unlimited`: not deleted for their size.',
    default: 'unlimited',
    env: 'BACKCAST_RETENTION_BYTES',
  }),
  everyMs: integer({
    description: 'How often the archiver looks for what is to be deleted, give or take a tenth.',
    range: [1_000, 86_400_000],
    default: 3_600_000,
  }),
  channels: Type.Array(
    Type.Object({
      name: Type.String({
        pattern: '^[A-Za-z0-9._*-]{1,128}$',
        form: PATTERN_FORM,
        description: 'Name or pattern of the channels; `*` stands for any characters.',
      }),
      age: Type.Optional(
        Type.String({
          pattern: AGE_PATTERN,
          form: AGE_FORM,
          description: 'Instead of `retention.age`.',
        }),
      ),
      bytes: Type.Optional(
        Type.String({
          pattern: BYTES_PATTERN,
          form: BYTES_FORM,
          description: 'Instead of `retention.bytes`.',
        }),
      ),
    }),
    {
      description:
        'Channels that differ: name (a pattern), age, bytes. The first that matches counts; what ' +
        'it leaves out is as for all others.',
      default: [],
    },
  ),
});

/** The settings as the loader gives them. */
export type RetentionConfig = Readonly<Omit<Static<typeof RETENTION>, 'channels'>> & {
  readonly channels: readonly Readonly<Static<typeof RETENTION>['channels'][number]>[];
};

/** What limits a channel; nothing does that is left out. */
export interface RetentionLimits {
  readonly ageMs?: number;
  readonly bytesMax?: number;
}

/** The limits of `channel`. */
export function retentionOf(config: RetentionConfig, channel: string): RetentionLimits {
  const rule = config.channels.find(({ name }) => matchesChannelPattern(name, channel));
  const ageMs = parseDuration(rule?.age ?? config.age);
  const bytesMax = parseSize(rule?.bytes ?? config.bytes);
  return {
    ...(ageMs === undefined ? {} : { ageMs }),
    ...(bytesMax === undefined ? {} : { bytesMax }),
  };
}

/** How long it is kept who read what, in milliseconds; undefined: for ever. */
export function accessKeptMs({ accessAge }: { readonly accessAge: string }): number | undefined {
  return parseDuration(accessAge);
}

/** Whether any channel can have a limit. */
export function hasRetention(config: RetentionConfig): boolean {
  return [config, ...config.channels].some(
    (rule) => (rule.age ?? 'forever') !== 'forever' || (rule.bytes ?? 'unlimited') !== 'unlimited',
  );
}
