// Checks of what a store answers. A registry can be edited by hand, half-written or poisoned, and
// what it says decides where packets go: so nothing it holds is believed before it has passed here.
// Pure.

import {
  BackcastError,
  dportOf,
  canonicalAddress,
  endpointText,
  isMulticastGroup,
  isPort,
  isSessionId,
  isHostAddress,
  SOURCE_NAME_BYTES_MAX,
  sourcesProblem,
  type ChannelAddress,
  type Framing,
} from '#base/mod.ts';
import { poolHolds, type AddressPool } from './pool.ts';
import type {
  ChannelMember,
  ChannelProperties,
  RegistryOptions,
  ResolveOptions,
  SessionAnnouncement,
} from '#registry/directory/mod.ts';

/** Bytes of one stored address or announcement; real ones are far below. */
export const ENTRY_BYTES_MAX = 2_048;

const HOST_CHARACTERS_MAX = 255;
const MEMBER_ID = /^[0-9a-f]{16}$/;
const FRAMINGS: readonly string[] = ['native', 'raw', 'zmq'] satisfies Framing[];

/** Properties before what is as usual has been left out. */
type LooseProperties = ResolveOptions & Pick<ChannelAddress, 'framing'>;

/** A checked value, or why there is none. */
export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** Whether `value` is a channel address inside `pool`. */
export function checkAddress(value: unknown, pool: AddressPool): Checked<ChannelAddress> {
  if (!isObject(value)) return refuse('the entry is not an address');
  const { group, port, dport, framing, delivery, authentication } = value;
  if (typeof group !== 'string' || !isMulticastGroup(group))
    return refuse(`group ${show(group)} is not a multicast group in its canonical text`);
  if (typeof port !== 'number' || !isPort(port))
    return refuse(`port ${show(port)} is not a port from 1 to 65535`);
  if (typeof dport !== 'number' || !isPort(dport))
    return refuse(`dport ${show(dport)} is not a port from 1 to 65535`);
  if (!isFraming(framing)) return refuse(`framing ${show(framing)} is not native, raw or zmq`);
  if (delivery !== undefined && delivery !== 'multicast' && delivery !== 'unicast')
    return refuse(`delivery ${show(delivery)} is not multicast or unicast`);
  if (authentication !== undefined && authentication !== 'off' && authentication !== 'required')
    return refuse(`authentication ${show(authentication)} is not off or required`);
  const properties = concise({ framing, delivery, authentication });
  const misfit = misfitOf(properties);
  if (misfit !== undefined) return refuse(misfit);
  if (dport !== dportOf(framing, port, dport))
    return refuse(`dport ${dport} of a channel of framing zmq is not its port, ${port}`);
  const sources = checkSources(value['sources'], group);
  if (!sources.ok) return sources;
  const address = { group, port, dport, ...properties, ...sources.value };
  if (!poolHolds(pool, address))
    return refuse(
      `${endpointText(group, port)} lies outside the allowed pool; widen registry.pool or remove ` +
        'the entry',
    );
  return { ok: true, value: address };
}

function checkSources(
  value: unknown,
  group: string,
): Checked<{ readonly sources?: readonly string[] }> {
  if (value === undefined) return { ok: true, value: {} };
  const isList = Array.isArray(value) && value.every((source) => typeof source === 'string');
  if (!isList) return refuse(`sources ${show(value)} is not a list of addresses`);
  const problem = sourcesProblem({ group, sources: value });
  return problem === undefined ? { ok: true, value: { sources: value } } : refuse(problem);
}

/** Whether `value` is an announcement on `channel`. */
export function checkAnnouncement(value: unknown, channel: string): Checked<SessionAnnouncement> {
  if (!isObject(value)) return refuse('the announcement is not an object');
  const { session, source, host, address, startedAtUs } = value;
  if (typeof session !== 'string' || !isSessionId(session))
    return refuse(`session ${show(session)} is not 16 hex digits of 63 bits`);
  if (typeof source !== 'string' || new TextEncoder().encode(source).length > SOURCE_NAME_BYTES_MAX)
    return refuse(`source ${show(source)} is not a name of at most ${SOURCE_NAME_BYTES_MAX} bytes`);
  if (typeof host !== 'string' || host.length > HOST_CHARACTERS_MAX)
    return refuse(`host ${show(host)} is not a host name`);
  if (typeof address !== 'string' || canonicalAddress(address) === undefined)
    return refuse(`address ${show(address)} is not an IP address`);
  if (!isInstant(startedAtUs))
    return refuse(`startedAtUs ${show(startedAtUs)} is not a number of microseconds`);
  return { ok: true, value: { channel, session, source, host, address, startedAtUs } };
}

/** Whether `value` is a member of `channel`. */
export function checkMember(value: unknown, channel: string): Checked<ChannelMember> {
  if (!isObject(value)) return refuse('the member is not an object');
  const { id, address, port, host, joinedAtUs, leftAtUs } = value;
  if (typeof id !== 'string' || !MEMBER_ID.test(id))
    return refuse(`member ${show(id)} is not 16 hex digits`);
  if (typeof address !== 'string' || !isHostAddress(address))
    return refuse(`member address ${show(address)} is not the address of one host`);
  if (typeof port !== 'number' || !isPort(port))
    return refuse(`member port ${show(port)} is not a port from 1 to 65535`);
  if (typeof host !== 'string' || host.length > HOST_CHARACTERS_MAX)
    return refuse(`member host ${show(host)} is not a host name`);
  if (!isInstant(joinedAtUs))
    return refuse(`joinedAtUs ${show(joinedAtUs)} is not a number of microseconds`);
  const member = { channel, id, address, port, host, joinedAtUs };
  if (leftAtUs === undefined) return { ok: true, value: member };
  if (!isInstant(leftAtUs))
    return refuse(`leftAtUs ${show(leftAtUs)} is not a number of microseconds`);
  return { ok: true, value: { ...member, leftAtUs } };
}

/**
 * Throws BACKCAST_REGISTRY_INVALID if the channel has another framing, delivery or authentication
 * than the caller needs.
 */
export function requireProperties(
  channel: string,
  address: ChannelAddress,
  wanted: ResolveOptions,
): ChannelAddress {
  const { framing, delivery = 'multicast', authentication = 'off' } = address;
  for (const [name, has] of Object.entries({ framing, delivery, authentication })) {
    const wish = wanted[name as keyof ResolveOptions];
    if (wish === undefined || wish === has) continue;
    throw new BackcastError(
      'BACKCAST_REGISTRY_INVALID',
      `channel "${channel}" is registered with ${name} ${has}, not ${wish}; ` +
        `use its ${name} or another channel name`,
    );
  }
  return address;
}

/** The properties of a channel that is new, from what was asked for and the registry's defaults. */
export function newProperties(
  channel: string,
  wanted: ResolveOptions,
  defaults: Pick<RegistryOptions, 'delivery' | 'authentication'>,
): ChannelProperties {
  const properties = concise({
    framing: wanted.framing ?? 'native',
    delivery: wanted.delivery ?? defaults.delivery,
    authentication: wanted.authentication ?? defaults.authentication,
  });
  const misfit = misfitOf(properties);
  if (misfit === undefined) return properties;
  const message = `channel "${channel}" cannot be made: ${misfit}`;
  throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
}

/** What is as usual is said by saying nothing, so that there is one way to write an address. */
export function concise({ framing, delivery, authentication }: LooseProperties): ChannelProperties {
  return {
    framing,
    ...(delivery === 'unicast' && { delivery }),
    ...(authentication === 'required' && { authentication }),
  };
}

/** The programs that need another framing than ours know neither unicast delivery nor tags. */
function misfitOf({ framing, delivery, authentication }: ChannelProperties): string | undefined {
  if (framing === 'native') return undefined;
  if (delivery !== undefined)
    return `framing ${framing} cannot be delivered by unicast; only native can`;
  if (authentication !== undefined)
    return `framing ${framing} knows no authentication; only native does`;
  return undefined;
}

/** The error for an entry that a caller asked for by name and that cannot be used. */
export function invalidEntry(channel: string, problem: string, where: string): BackcastError {
  return new BackcastError(
    'BACKCAST_REGISTRY_INVALID',
    `the registry (${where}) cannot be used for channel "${channel}": ${problem}`,
  );
}

/** Whether `value` is an object with named members. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFraming(value: unknown): value is Framing {
  return typeof value === 'string' && FRAMINGS.includes(value);
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function refuse(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
