// The layout of the binary segment stream, media type application/vnd.backcast.segments. Numbers
// are big-endian; a wide one is a signed 64-bit integer that a plain number holds exactly; instants
// are wide ones, in microseconds since 1970.
//
//   stream     frame begin · any others · frame end; without the end it was cut off
//   frame      length of the body u32 · kind u8 · body
//   begin      JSON: version, channel, framing, order, archivedThrough
//   session    JSON: session, source, isForeign; comes before what first names the session
//   messages   counts and places of the runs, then the publish times, then the payloads:
//
//     0 runs u32 · 4 messages u32 · then per run
//     0 session wide · 8 first sequence wide · 16 through sequence wide ·
//     24 first position wide · 32 archived at wide · 40 messages u32           (44 bytes)
//     then per message its publish time wide,
//     then per message its length u32 · payload, as the database holds them
//
//   loss, deletion, range, estimate, end
//              JSON, the very text that NDJSON has for it
//
// In a stream of descending order the runs descend and the messages within each ascend, so that the
// bytes of a segment pass untouched in both. Kinds from 128 on may be passed over by who does not
// know them; one below is not understood without. There is no checksum: what carries the stream has
// one, the lengths must add up, and the end counts the messages.

/** The media type. */
export const SEGMENTS_TYPE = 'application/vnd.backcast.segments';
/** The version that `begin` names. */
export const STREAM_VERSION = 1;

/** The kinds of frames, by name. */
export const FRAME_KINDS = {
  begin: 1,
  session: 2,
  messages: 3,
  loss: 4,
  deletion: 5,
  range: 6,
  end: 7,
  estimate: 128,
} as const;

/** Kinds from here on may be passed over. */
export const OPTIONAL_KIND_MIN = 128;

/** Length and kind in front of every body. */
export const FRAME_HEADER_BYTES = 5;
/** Counts in front of the runs. */
export const COUNTS_BYTES = 8;
/** One run. */
export const RUN_BYTES = 44;
/** The publish time of one message. */
export const INSTANT_BYTES = 8;
/** The length in front of each payload. */
export const LENGTH_BYTES = 4;

/**
 * A longer frame is not one of ours: the largest holds what a segment has before it is full, and
 * one message of 64 MiB.
 */
export const FRAME_BYTES_MAX: number = 96 * 1_048_576;
