// What the archive's measurements and their publishing threads say to each other.

import type { ChannelAddress } from '#base/mod.ts';

/** What the thread is started with. */
export interface ArchivePublisherData {
  readonly address: ChannelAddress;
  readonly interfaceAddress: string;
  readonly packetBytesMax: number;
  readonly payloadBytes: number;
  readonly messageCount: number;
  readonly publisherCount: number;
  /** Messages per second; infinite to follow the archive. */
  readonly rate: number;
  /** Messages that may be published and not archived, of a rate without end. */
  readonly outstandingMax: number;
  /** Messages published, and messages archived. */
  readonly progress: Int32Array<SharedArrayBuffer>;
  /** When message 1, 1 + stride, 1 + 2 × stride … was published, in absoluteMs. */
  readonly publishedAtMs: Float64Array<SharedArrayBuffer>;
  readonly stride: number;
}

/** What the thread tells: that it can begin, then what it sent. It begins when told anything. */
export type ArchivePublisherReport =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'done';
      readonly elapsedMs: number;
      readonly packetsSent: number;
      readonly repairsSent: number;
    };

/** Where messages published and messages archived stand in `progress`. */
export const PROGRESS = { published: 0, archived: 1 } as const;
