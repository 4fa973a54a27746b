// How lists are cut into pages: how many items a request may want, and where a page goes on.

import { Type, type TInteger, type TOptional, type TString } from 'typebox';

/** Items in a JSON page if the request does not say. */
export const PAGE_ITEMS_DEFAULT = 100;
/**
 * Items in a JSON page at most: what a reader can hold at once without thinking; NDJSON has no
 * bound.
 */
export const PAGE_ITEMS_MAX = 10_000;

/** How many items a page of a list has at most. */
export const limit: TOptional<TInteger> = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: PAGE_ITEMS_MAX,
    description: `Items in a page, ${PAGE_ITEMS_DEFAULT} if not given.`,
    examples: [10],
  }),
);

/** Where a page begins, in a text that matches `pattern`. */
export function cursor(pattern: string): TOptional<TString> {
  return Type.Optional(
    Type.String({ pattern, description: 'Goes on where a page ended: see its `next`.' }),
  );
}
