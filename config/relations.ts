// What must hold between settings that are each right on their own. Pure.

import {
  canonicalAddress,
  endpointText,
  isMulticastGroup,
  isSourceSpecificGroup,
  PACKET_BYTES_DEFAULT,
  parseMemberAddress,
  sourcesProblem,
} from '#base/mod.ts';
import { smallestWindow } from '#multicast/core/mod.ts';
import type { Config } from './schema.ts';

/** What does not fit together in `config`; an empty list if all does. */
export function checkRelations(config: Config): string[] {
  return [
    ...checkPublisher(config),
    ...checkRegistry(config),
    ...checkAuthentication(config),
    ...checkUnicast(config),
    ...checkChannels(config),
    ...checkApi(config),
  ];
}

/** What the publisher machine asserts of itself, here said before anything is started. */
function checkPublisher({ publisher, authentication }: Config): string[] {
  const { messageBytesMax, windowBytes, windowPackets } = publisher;
  const isAuto = publisher.packetBytesMax === 'auto';
  const packetBytesMax = isAuto ? PACKET_BYTES_DEFAULT : publisher.packetBytesMax;
  const hasAuthentication = hasKeys(authentication);
  const smallest = smallestWindow({ messageBytesMax, packetBytesMax, hasAuthentication });
  const problems: string[] = [];
  if (windowBytes < smallest.bytes)
    problems.push(
      `\`publisher.messageBytesMax\` ${messageBytesMax} needs \`publisher.windowBytes\` of ` +
        `${smallest.bytes} at least, not ${windowBytes}: such a message could not be repaired`,
    );
  if (windowPackets < smallest.packets)
    problems.push(
      `\`publisher.messageBytesMax\` ${messageBytesMax} does not fit \`publisher.windowPackets\` ` +
        `${windowPackets} of \`publisher.packetBytesMax\` ${packetBytesMax}: it needs ` +
        `${smallest.packets} at least`,
    );
  return problems;
}

function checkRegistry({ registry, redisUrl }: Config): string[] {
  const problems: string[] = [];
  if (registry.kind === 'redis' && redisUrl === undefined)
    problems.push('`registry.kind` is redis, but `redisUrl` (REDIS_URL) is not given');
  const [first, last] = registry.pool.ports;
  if (first > last)
    problems.push(`\`registry.pool.ports\` [${first}, ${last}] ends before it begins`);
  return problems;
}

function checkAuthentication({ authentication }: Config): string[] {
  const { keysFile, keys, newChannels } = authentication;
  const problems: string[] = [];
  if (keysFile !== undefined && keys !== undefined)
    problems.push(
      'both `authentication.keysFile` and `authentication.keys` (BACKCAST_AUTH_KEYS) are given; ' +
        'keys come from one place',
    );
  if (newChannels === 'required' && !hasKeys(authentication))
    problems.push(
      '`authentication.newChannels` is required, but neither `authentication.keysFile` nor ' +
        'BACKCAST_AUTH_KEYS is given',
    );
  return problems;
}

function hasKeys({ keysFile, keys }: Config['authentication']): boolean {
  return keysFile !== undefined || keys !== undefined;
}

function checkUnicast({ unicast, channels }: Config): string[] {
  const problems: string[] = [];
  const [first, last] = unicast.ports ?? [1, 1];
  if (first > last) problems.push(`\`unicast.ports\` [${first}, ${last}] ends before it begins`);
  for (const { name, framing, delivery, members } of channels) {
    if (delivery === 'unicast' && framing !== 'native')
      problems.push(`\`channels\`: "${name}" has unicast delivery, which needs framing native`);
    if (delivery !== 'unicast' && members.length > 0)
      problems.push(`\`channels\`: "${name}" has members, which need delivery unicast`);
    if (members.length > unicast.membersMax)
      problems.push(
        `\`channels\`: "${name}" has ${members.length} members, more than ` +
          `\`unicast.membersMax\` ${unicast.membersMax}`,
      );
    for (const text of members)
      if (parseMemberAddress(text) === undefined)
        problems.push(`\`channels\`: "${name}": ${text} is not the address and port of one host`);
  }
  return problems;
}

function checkChannels({ channels }: Config): string[] {
  const problems: string[] = [];
  const places = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, group: given, port, dport, sources, framing, authentication } of channels) {
    const group = canonicalAddress(given) ?? given;
    const place = `${endpointText(group, port)} dport ${dport}`;
    const other = places.get(place);
    if (!isMulticastGroup(group)) problems.push(`\`channels\`: ${given} is not a multicast group`);
    else problems.push(...checkSources(name, group, sources));
    if (authentication === 'required' && framing !== 'native')
      problems.push(
        `\`channels\`: "${name}" cannot have framing ${framing} and require authentication`,
      );
    if (names.has(name)) problems.push(`\`channels\`: "${name}" stands there twice`);
    else if (other !== undefined)
      problems.push(`\`channels\`: "${name}" and "${other}" have the same address ${place}`);
    names.add(name);
    places.set(place, name);
  }
  return problems;
}

function checkApi({ api: { tls, jwt } }: Config): string[] {
  const { certFile, keyFile } = tls;
  const { jwksUrl, issuer, audience } = jwt;
  return [
    ...checkTogether('api.tls', { certFile, keyFile }),
    ...checkTogether('api.jwt', { jwksUrl, issuer, audience }),
  ];
}

/** What only makes sense together is given together, or not at all. */
function checkTogether(
  section: string,
  settings: Readonly<Record<string, string | undefined>>,
): string[] {
  const given = Object.values(settings).filter((value) => value !== undefined);
  if (given.length === 0) return [];
  return Object.entries(settings)
    .filter(([, value]) => value === undefined)
    .map(([name]) => `\`${section}.${name}\` is missing: the settings there go together`);
}

/** Texts of IPv6 addresses may differ from the canonical ones here. */
function checkSources(name: string, group: string, given: readonly string[] = []): string[] {
  const sources = given.map((source) => canonicalAddress(source) ?? source);
  const problem = sourcesProblem({ group, sources });
  if (problem !== undefined) return [`\`channels\`: "${name}": ${problem}`];
  if (sources.length > 0 || !isSourceSpecificGroup(group)) return [];
  return [
    `\`channels\`: "${name}": receivers of the group ${group} must name its publishers: add ` +
      '`sources: [ADDRESS]`',
  ];
}
