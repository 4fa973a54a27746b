// How far something is, for the person at the terminal: one line on standard error that is written
// over, or a line now and then where standard error is no terminal.

/** What it writes to. */
export interface ProgressTerminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows progress. */
export interface ProgressLine {
  /** Shows `text` instead of what was shown before. */
  show(text: string): void;
  /** Ends the line, so that others may follow. */
  end(): void;
  /** Takes back what can be taken back of it. */
  clear(): void;
}

const EVERY_MS = 5_000;
const CLEAR_LINE = '\r\u001b[2K';

/** A line on `stream`. */
export function progressLine(stream: ProgressTerminal): ProgressLine {
  return stream.isTTY === true ? overwritten(stream) : repeated(stream);
}

function overwritten(stream: ProgressTerminal): ProgressLine {
  let isShown = false;
  return {
    show: (text) => {
      isShown = true;
      stream.write(`${CLEAR_LINE}${text}`);
    },
    end: () => {
      if (isShown) stream.write('\n');
      isShown = false;
    },
    clear: () => {
      stream.write(CLEAR_LINE);
      isShown = false;
    },
  };
}

function repeated(stream: ProgressTerminal): ProgressLine {
  let shownAtMs = Number.NEGATIVE_INFINITY;
  const end = (): void => {
    shownAtMs = Number.NEGATIVE_INFINITY;
  };
  return {
    show: (text) => {
      if (performance.now() - shownAtMs < EVERY_MS) return;
      shownAtMs = performance.now();
      stream.write(`${text}\n`);
    },
    end,
    clear: end,
  };
}
