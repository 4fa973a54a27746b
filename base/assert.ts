// Assertions for the impossible. A failed assertion means a bug of ours, never bad input: input is
// answered with a returned value or a BackcastError (errors.ts).

/** Thrown when an invariant of Backcast itself does not hold. Not for callers to catch. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Guarantees that `condition` holds afterwards; `invariant` is the sentence that was broken. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(invariant);
}

/**
 * Closes a switch over a closed set: reaching it is a type error, and an AssertionError at run
 * time.
 */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${String(value)}`);
}
