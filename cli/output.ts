// Standard output, which carries nothing but what was asked for, and standard error, which carries
// the rest. Writing waits for a slow reader; a reader that went away (`| head`) ends the command
// without a word.

import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Thrown by a write when nobody reads any more. Ends the command quietly. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** Standard output of a command. */
export interface Output {
  /** Resolves when there is room for more. Throws OutputClosed when nobody reads any more. */
  write(bytes: string | Uint8Array): Promise<void>;
}

/** Wraps `stream`; calls `onClosed` when its reader is gone. */
export function openOutput(stream: Writable, onClosed: (reason: OutputClosed) => void): Output {
  let problem: Error | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    problem = error.code === 'EPIPE' ? new OutputClosed('nobody reads the output') : error;
    if (problem instanceof OutputClosed) onClosed(problem);
  });
  return {
    async write(bytes) {
      if (problem !== undefined) throw problem;
      if (stream.write(bytes)) return;
      try {
        await once(stream, 'drain');
      } catch (error) {
        throw problem ?? error;
      }
    },
  };
}

/**
 * `text` on one line of a terminal: control characters, which could move its cursor, are shown as
 * `·`.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·');
}
