// What the archiver and its worker threads say to each other. Plain data, as a thread boundary
// wants it.

import type { ChannelAddress, ErrorCode, MemberAddress } from '#base/mod.ts';
import type { AuthenticationKey } from '#multicast/udp/mod.ts';
import type { RecorderCounters, RecordingSettings } from './recorder-options.ts';

/** What a shard is started with. */
export interface ShardSettings extends RecordingSettings {
  readonly databaseUrl: string;
  /** Whether batches go to `databaseUrl`, the default, or to the node that owns the channel. */
  readonly writeTo?: 'database' | 'owner' | undefined;
  /** Name of this archiver in leases. */
  readonly holder: string;
}

/** What a thread is started with: the settings, and the keys as they are then. */
export interface ShardStart extends ShardSettings {
  readonly keys: readonly AuthenticationKey[] | undefined;
}

/** What a shard is told. */
export type ShardCommand =
  | { readonly kind: 'record'; readonly channel: string; readonly address: ChannelAddress }
  /** Other keys hold from now on. */
  | { readonly kind: 'keys'; readonly keys: readonly AuthenticationKey[] }
  | { readonly kind: 'stop' };

/** What a shard tells. */
export type ShardReport =
  | { readonly kind: 'listening'; readonly channel: string; readonly at: MemberAddress }
  | { readonly kind: 'recording'; readonly channel: string }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn';
      readonly message: string;
      readonly fields: Record<string, unknown>;
    }
  | { readonly kind: 'counters'; readonly channels: Record<string, RecorderCounters> }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };
