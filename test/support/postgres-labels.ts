// Names for what goes over a connection to PostgreSQL, short and the same from run to run: the
// first words of a statement, the tag of an answer. Follows the messages of the protocol (version
// 3: a byte of type, four of length, which the startup message has without the type) across chunks.

const WORDS_MAX = 3;

/** Reads whole messages out of chunks. */
class MessageReader {
  #rest: Buffer = Buffer.alloc(0);

  take(
    chunk: Uint8Array,
    typeBytes: () => number,
    see: (type: string, body: Buffer) => void,
  ): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const skip = typeBytes();
      if (this.#rest.length < skip + 4) return;
      const end = skip + this.#rest.readUInt32BE(skip);
      if (this.#rest.length < end) return;
      const type = skip === 0 ? 'startup' : String.fromCharCode(this.#rest[0] ?? 0);
      see(type, this.#rest.subarray(skip + 4, end));
      this.#rest = this.#rest.subarray(end);
    }
  }
}

/** Labels of what a program sends to its server. */
export class StatementLabels {
  readonly #reader = new MessageReader();
  #isStarted = false;

  /** What the chunk says, by the messages that end in it. */
  take(chunk: Uint8Array): string {
    const labels: string[] = [];
    this.#reader.take(
      chunk,
      () => (this.#isStarted ? 1 : 0),
      (type, body) => {
        this.#isStarted = true;
        labels.push(statementLabel(type, body));
      },
    );
    return concise(labels);
  }
}

/** Labels of what a server answers. */
export class AnswerLabels {
  readonly #reader = new MessageReader();

  /** What the chunk says, by the messages that end in it. */
  take(chunk: Uint8Array): string {
    const labels: string[] = [];
    this.#reader.take(
      chunk,
      () => 1,
      (type, body) => labels.push(answerLabel(type, body)),
    );
    return concise(labels);
  }
}

function statementLabel(type: string, body: Buffer): string {
  if (type === 'Q') return wordsOf(body);
  if (type === 'P') return wordsOf(body.subarray(body.indexOf(0) + 1));
  const names: Record<string, string> = {
    d: 'rows',
    c: 'end of rows',
    X: 'goodbye',
    p: 'password',
  };
  return names[type] ?? (type === 'startup' ? type : '');
}

/** The tag of a command without its counts; else the kind of answer that a program waits for. */
function answerLabel(type: string, body: Buffer): string {
  if (type === 'C') return body.toString('latin1').replace(/[\d\0 ]+$/, '');
  const names: Record<string, string> = { G: 'ready for rows', E: 'error', R: 'login' };
  return names[type] ?? '';
}

function wordsOf(body: Buffer): string {
  const words = body.toString('latin1').match(/[A-Za-z_]+/g) ?? [];
  return words.slice(0, WORDS_MAX).join(' ');
}

/** Each label once, in order; what has none is a piece. */
function concise(labels: readonly string[]): string {
  const different = [...new Set(labels)].filter((label) => label !== '');
  return different.length === 0 ? 'a piece' : different.join(', ');
}
