// The kinds of settings that the schema has many of. Pure.

import { Type, type TEnum, type TInteger } from 'typebox';

/** What stands beside the type of a setting. */
interface Setting {
  readonly description: string;
  readonly default?: unknown;
  /** Environment variable. */
  readonly env?: string;
  /** Never shown in an error or a log. */
  readonly secret?: boolean;
}

/** A whole number within bounds, both ends included. */
export function integer({
  range: [minimum, maximum],
  ...setting
}: Setting & { readonly range: readonly [number, number] }): TInteger {
  return Type.Integer({ minimum, maximum, ...setting });
}

/** One of several words. */
export function choice<const Choices extends string[]>(
  choices: [...Choices],
  setting: Setting,
): TEnum<Choices> {
  return Type.Enum(choices, { ...setting });
}

/** What names and patterns of channels look like, in words. */
export const PATTERN_FORM = 'a name or a pattern of 1 to 128 of A-Z a-z 0-9 . _ - *';
