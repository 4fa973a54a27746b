// Where a subscription begins, and whether it is heard live: what its options mean, or the error
// that says what is wrong with them.

import { BackcastError, requireChannelName } from '#base/mod.ts';
import { type CursorPlace, parseCursor } from './cursor.ts';
import { instantUs } from './given-instant.ts';
import type { SessionBegin } from './merge.ts';
import type { ReplayStart } from './replay-source.ts';
import type { SubscribeOptions } from './subscription-items.ts';

/** Where a subscription begins: in the archive, unless it is with what is heard now. */
export interface Begun {
  readonly start: ReplayStart | undefined;
  readonly place: CursorPlace;
}

/** Foreign publishers name no session: what is heard of them cannot be joined to the archive. */
export function isHeardLive({ multicast, archive }: SubscribeOptions): boolean {
  if (multicast === undefined) return false;
  return archive === undefined || multicast.address.framing === 'native';
}

/**
 * Where `options` say to begin. Errors: BACKCAST_USAGE, BACKCAST_CHANNEL_NAME,
 * BACKCAST_CURSOR_INVALID.
 */
export function beginning(options: SubscribeOptions): Begun {
  const { channel, from = 'live', multicast, archive } = options;
  requireChannelName(channel);
  if (multicast === undefined && archive === undefined)
    throw new BackcastError('BACKCAST_USAGE', 'A subscription needs multicast or an archive.');
  if (from === 'live') return begun(undefined, 'heard');
  if (from !== 'start' && !isObject(from)) throw noPlace(from);
  if (typeof from === 'object' && 'cursor' in from)
    return resumed(parseCursor(channel, from.cursor), archive !== undefined);
  if (archive === undefined)
    throw new BackcastError(
      'BACKCAST_USAGE',
      'To begin in the past, give an archive to read from.',
    );
  if (from === 'start') return begun({ afterPosition: 0 }, 'one');
  if ('position' in from) return begunAt(from.position);
  if ('time' in from) return begun({ publishedFromUs: instantUs(from.time) }, 'archive');
  throw noPlace(from);
}

/** From JavaScript anything may come. */
function isObject(from: unknown): from is object {
  return typeof from === 'object' && from !== null;
}

function noPlace(from: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_USAGE',
    `${JSON.stringify(from)} is no place to begin at: give "live", "start", { cursor }, ` +
      '{ position } or { time }.',
  );
}

function begun(start: ReplayStart | undefined, begin: SessionBegin): Begun {
  return { start, place: { position: undefined, begin, nexts: new Map(), ended: new Set() } };
}

function begunAt(position: number): Begun {
  if (!Number.isSafeInteger(position) || position < 1)
    throw new BackcastError('BACKCAST_USAGE', `${position} is no position: they begin with 1.`);
  return begun({ afterPosition: position - 1 }, position === 1 ? 'one' : 'archive');
}

/** What began while nobody listened is wanted as well. */
function resumed(place: CursorPlace, hasArchive: boolean): Begun {
  const { position } = place;
  const isPlaced = hasArchive && position !== undefined;
  const begin = isPlaced && place.begin === 'heard' ? 'archive' : place.begin;
  return { start: isPlaced ? { afterPosition: position } : undefined, place: { ...place, begin } };
}
