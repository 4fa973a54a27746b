// Marks declared losses as healed, in the transaction that stores what was lost. A loss of which a
// part is healed becomes several rows that tile it: what is still lost, and what is not any more,
// which stays as a row that says since when and thanks to whom. The rows are read and written back
// by this transaction alone, since it holds the fence of the channel.

import type { Client } from 'pg';
import { assert, foreignPacketCount, formatInstant } from '#base/mod.ts';
import type { Framing, SessionId } from '#base/mod.ts';
import type { Statement } from './append-statements.ts';
import { sessionParameter } from './database-types.ts';
import type { ArchiveBatch, Heal } from './types.ts';

/** Sequences of a loss that share a fate. */
export interface LossPiece {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly healedBy: string | null;
}

/** A row of losses, as far as splitting it needs; instants as text, so that they stay exact. */
interface LossRow {
  readonly session: SessionId;
  readonly session_id: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly framing: Framing;
  readonly is_counted: boolean;
}

/** Splits what `batch` heals; a loss that is healed already stays as it is. */
export async function healLosses(
  client: Client,
  batch: ArchiveBatch,
  archivedAtUs: number,
): Promise<void> {
  if (batch.heals.length === 0) return;
  const find = findLosses(batch);
  const { rows } = await client.query<LossRow>(find.text, [...find.values]);
  if (rows.length === 0) return;
  for (const { text, values } of splitLosses(batch, rows, archivedAtUs)) {
    await client.query(text, [...values]);
  }
}

/** The rows of losses that `heals` reach into and that are not healed. */
function findLosses({ channelId, heals }: ArchiveBatch): Statement {
  return {
    text: `
SELECT DISTINCT lpad(to_hex(loss.session_id), 16, '0') AS session,
       loss.session_id::text AS session_id, loss.first_sequence, loss.last_sequence,
       channel.framing, loss.packet_count IS NOT NULL AS is_counted
FROM losses loss
JOIN channels channel ON channel.channel_id = loss.channel_id
JOIN unnest($2::bigint[], $3::bigint[], $4::bigint[])
       AS heal (session_id, first_sequence, last_sequence)
  ON heal.session_id = loss.session_id
 AND heal.first_sequence <= loss.last_sequence AND heal.last_sequence >= loss.first_sequence
WHERE loss.channel_id = $1 AND loss.healed_at IS NULL`,
    values: [
      channelId,
      heals.map((heal) => sessionParameter(heal.session)),
      heals.map((heal) => heal.firstSequence),
      heals.map((heal) => heal.lastSequence),
    ],
  };
}

/**
 * The later pieces are copied from the row of the loss, which then becomes the first piece. Within
 * which packets a piece lies is not known more closely than of the whole loss.
 */
function splitLosses(
  { channelId, expectedHead, heals }: ArchiveBatch,
  losses: readonly LossRow[],
  archivedAtUs: number,
): Statement[] {
  const pieces = losses.flatMap((loss) => {
    const own = heals.filter(({ session }) => session === loss.session);
    return tileLoss(loss.first_sequence, loss.last_sequence, own).map((piece) => ({
      ...piece,
      ofFirst: loss.first_sequence,
      sessionId: loss.session_id,
      packetCount: loss.is_counted ? packetCountOf(loss.framing, piece) : null,
    }));
  });
  const values = [
    channelId,
    pieces.map((piece) => piece.sessionId),
    pieces.map((piece) => piece.ofFirst),
    pieces.map((piece) => piece.firstSequence),
    pieces.map((piece) => piece.lastSequence),
    pieces.map((piece) => piece.packetCount),
    pieces.map((piece) => (piece.healedBy === null ? null : expectedHead + 1)),
    pieces.map((piece) => (piece.healedBy === null ? null : formatInstant(archivedAtUs))),
    pieces.map((piece) => piece.healedBy),
  ];
  return [
    { text: COPY_LATER_PIECES, values },
    { text: CUT_TO_FIRST_PIECE, values },
  ];
}

const PIECES = `unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::bigint[], $7::bigint[], $8::timestamptz[], $9::text[])
       AS piece (session_id, of_first, first_sequence, last_sequence,
                 packet_count, healed_position, healed_at, healed_by)`;

const COPY_LATER_PIECES = `
INSERT INTO losses
  (channel_id, declared_at, session_id, first_sequence, last_sequence, cause,
   after_position, detected_at, first_sqn, next_sqn, packet_count, healed_position, healed_at,
   healed_by)
SELECT $1::int, loss.declared_at, loss.session_id, piece.first_sequence, piece.last_sequence,
       loss.cause, loss.after_position, loss.detected_at, loss.first_sqn, loss.next_sqn,
       piece.packet_count, piece.healed_position, piece.healed_at, piece.healed_by
FROM ${PIECES}
JOIN losses loss
  ON loss.session_id = piece.session_id AND loss.first_sequence = piece.of_first
WHERE loss.channel_id = $1 AND piece.first_sequence > piece.of_first`;

const CUT_TO_FIRST_PIECE = `
UPDATE losses loss SET
  last_sequence = piece.last_sequence,
  packet_count = piece.packet_count,
  healed_position = piece.healed_position,
  healed_at = piece.healed_at,
  healed_by = piece.healed_by
FROM ${PIECES}
WHERE loss.channel_id = $1 AND loss.session_id = piece.session_id
  AND loss.first_sequence = piece.first_sequence AND piece.first_sequence = piece.of_first`;

function packetCountOf(framing: Framing, piece: LossPiece): number {
  return foreignPacketCount(framing, { first: piece.firstSequence, last: piece.lastSequence });
}

/**
 * The pieces, ascending and without hole, into which `heals` cut the loss of `first` to `last`. The
 * heals lie apart, in any order, and may reach beyond the loss.
 */
export function tileLoss(
  first: number,
  last: number,
  heals: readonly Pick<Heal, 'firstSequence' | 'lastSequence' | 'by'>[],
): LossPiece[] {
  const pieces: LossPiece[] = [];
  let next = first;
  for (const heal of heals.toSorted((one, other) => one.firstSequence - other.firstSequence)) {
    const healedFirst = Math.max(heal.firstSequence, first);
    const healedLast = Math.min(heal.lastSequence, last);
    if (healedFirst > healedLast) continue;
    assert(healedFirst >= next, 'heals of a batch lie apart');
    if (healedFirst > next) {
      pieces.push({ firstSequence: next, lastSequence: healedFirst - 1, healedBy: null });
    }
    pieces.push({ firstSequence: healedFirst, lastSequence: healedLast, healedBy: heal.by });
    next = healedLast + 1;
  }
  if (next <= last) pieces.push({ firstSequence: next, lastSequence: last, healedBy: null });
  return pieces;
}
