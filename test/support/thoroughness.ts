// How thorough a test is to be: `npm test` runs everything in full, `npm run check` and a single
// file as much as a minute allows for all of them. Only numbers differ, never what is asserted.

/** Set for the processes of `npm test`. */
export const THOROUGH_VARIABLE = 'BACKCAST_TEST_THOROUGH';

/** `full` in `npm test`, otherwise `quick`. */
export function inFull<Value>(full: Value, quick: Value): Value {
  return process.env[THOROUGH_VARIABLE] === undefined ? quick : full;
}
