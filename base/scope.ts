// What a token of the replay API allows. A scope is one right: reading or exporting the channels
// that a pattern names, or seeing how the service is used. No scope contains another: whoever may
// see who read what need not be able to read it. Pure.

import { matchesChannelPattern } from './channel.ts';

/** One right. */
export type Scope =
  | { readonly kind: 'read' | 'export'; readonly pattern: string }
  | { readonly kind: 'admin' };

/** What a channel can be asked for. */
export type ChannelRight = 'read' | 'export';

const CHANNEL_SCOPE = /^(read|export):([A-Za-z0-9._*-]{1,128})$/;

/** `read:orders.*`, `export:orders`, `admin`; undefined if `text` is none. */
export function parseScope(text: string): Scope | undefined {
  if (text === 'admin') return { kind: 'admin' };
  const [, kind, pattern] = CHANNEL_SCOPE.exec(text) ?? [];
  return pattern === undefined ? undefined : { kind: kind as ChannelRight, pattern };
}

/** The text that parseScope reads. */
export function scopeText(scope: Scope): string {
  return scope.kind === 'admin' ? 'admin' : `${scope.kind}:${scope.pattern}`;
}

/** Whether one of `scopes` gives `right` on `channel`. */
export function allowsChannel(
  scopes: readonly Scope[],
  right: ChannelRight,
  channel: string,
): boolean {
  return patternsOf(scopes, right).some((pattern) => matchesChannelPattern(pattern, channel));
}

/** The patterns of the channels on which `scopes` give `right`. */
export function patternsOf(scopes: readonly Scope[], right: ChannelRight): string[] {
  return scopes.flatMap((scope) => (scope.kind === right ? [scope.pattern] : []));
}

/** Whether one of `scopes` is `admin`. */
export function allowsAdmin(scopes: readonly Scope[]): boolean {
  return scopes.some(({ kind }) => kind === 'admin');
}
