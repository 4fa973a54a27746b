// Why a sequence is missing from the archive for good. A closed set: it stands in the tables, the
// API, the client and the documentation with the same words.

/** Every cause, with the sentence that the documentation and the API give for it. */
export const LOSS_CAUSES = {
  repair_expired:
    'The publisher no longer held the packets when they were asked for, or resent them too late.',
  source_gone: 'The publisher fell silent before the missing packets could be repaired.',
  recorder_overrun: 'The archiver itself could not keep up and had to let messages go.',
  spool_full: 'PostgreSQL was away for longer than the spool had room for.',
  late_join: 'The messages were published before the archiver first heard this session.',
  resync:
    'The packet numbers jumped beyond any window, or the archive went back and nobody has them.',
  corrupt: 'The packets arrived, but what they held could not be read.',
  unauthenticated:
    'Packets of the publisher arrived while these were missing, but without a valid tag.',
} as const;

/** One of the causes above. */
export type LossCause = keyof typeof LOSS_CAUSES;
