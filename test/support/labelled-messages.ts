// Messages that say who they are: each payload names its session and its sequence and carries a
// checksum over both and over what fills it up. A message that is swapped, cut or put together
// wrongly is so found among millions, by the database itself.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { sql } from 'kysely';
import type { ArchiveDatabase } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';

/** Digest, session and sequence, in front of what fills the payload up. */
export const LABEL_BYTES = 48;
const DIGEST_BYTES = 16;
const SEQUENCE_DIGITS = 16;
/** Fillings differ in length from message to message, so that a shift shows. */
const FILLING_STEP = 7;

/** The payload of one message, of `payloadBytes` or a few less. */
export function labelledPayload(
  session: SessionId,
  sequence: number,
  payloadBytes: number,
): Uint8Array {
  const fillingBytes = Math.max(0, payloadBytes - LABEL_BYTES - (sequence % FILLING_STEP));
  const number = String(sequence).padStart(SEQUENCE_DIGITS, '0');
  const label = Buffer.from(session + number + 'x'.repeat(fillingBytes), 'latin1');
  return Buffer.concat([hash('sha256', label, 'buffer').subarray(0, DIGEST_BYTES), label]);
}

/** Publishes the next message of `publisher`, waiting for room. */
export async function publishLabelled(
  publisher: ChannelPublisher,
  payloadBytes: number,
): Promise<void> {
  const sequence = publisher.lastSequence + 1;
  await publisher.publish(labelledPayload(publisher.session, sequence, payloadBytes));
}

/** Fails unless every message of `channel` is what its session published under its sequence. */
export async function checkLabels(database: ArchiveDatabase, channel: string): Promise<void> {
  const query = sql<{ session: string; sequence: number; payload: Buffer }>`
    SELECT session, sequence, payload FROM messages
    WHERE channel = ${channel} AND (
      substr(payload, ${DIGEST_BYTES + 1}, ${LABEL_BYTES - DIGEST_BYTES})
        <> convert_to(session || lpad(sequence::text, ${SEQUENCE_DIGITS}, '0'), 'UTF8')
      OR substr(payload, 1, ${DIGEST_BYTES})
        <> substr(sha256(substr(payload, ${DIGEST_BYTES + 1})), 1, ${DIGEST_BYTES}))
    LIMIT 3`;
  const { rows } = await database.transaction().execute(async (reading) => {
    await sql`SET LOCAL statement_timeout = 0`.execute(reading);
    return await query.execute(reading);
  });
  const wrong = rows.map((row) => `${row.session} ${row.sequence}: ${row.payload.toString()}`);
  assert.deepEqual(wrong, []);
}
