// The Lua scripts of the Redis registry and the text of an address as Redis stores it. Each script
// runs atomically and touches one key, so that it also runs on a Redis Cluster. Addresses of all
// channels stand in one hash, field by field `group port dport framing`, followed by `name=value`
// for what few channels have: one key is lost as a whole or not at all, and there is no second
// index that could disagree with it. Nothing larger than an entry can be is ever read out of Redis.

import { REGISTRY_CHANNELS_MAX, type ChannelAddress } from '#base/mod.ts';
import { ENTRY_BYTES_MAX } from './answers.ts';
import type { ChannelProperties } from '#registry/directory/mod.ts';

const PRELUDE = `
local key = KEYS[1]
local function read(field)
  local bytes = redis.call('HSTRLEN', key, field)
  if bytes > ${ENTRY_BYTES_MAX} then return '(' .. bytes .. ' bytes)' end
  return redis.call('HGET', key, field)
end
local function addresses()
  local groups, ports = {}, {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local group, port = string.match(read(field), '^(%S+) (%d+) ')
    if group then groups[group] = field; ports[tonumber(port)] = field end
  end
  return groups, ports
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

/**
 * KEYS: channels. ARGV: name, framing and what follows it, dport, preferred slot, slots, first
 * port, then of each range of groups its first and last number, what stands before the number and
 * the group of number 0 (both empty for IPv4, whose number is the address). Answers
 * {'known' | 'new', text}, {'exhausted'} or {'overfull', count}.
 */
export const RESOLVE = `${PRELUDE}
local name = ARGV[1]
local known = read(name)
if known then return {'known', known} end
local count = redis.call('HLEN', key)
if count >= ${REGISTRY_CHANNELS_MAX} then return {'overfull', count} end
local groups, ports = addresses()
local function groupAt(index)
  for range = 7, #ARGV, 4 do
    local size = ARGV[range + 1] - ARGV[range] + 1
    if index < size then
      local value, prefix, zero = ARGV[range] + index, ARGV[range + 2], ARGV[range + 3]
      if prefix ~= '' then return value == 0 and zero or prefix .. string.format('%x', value) end
      return string.format('%d.%d.%d.%d', math.floor(value / 16777216),
        math.floor(value / 65536) % 256, math.floor(value / 256) % 256, value % 256)
    end
    index = index - size
  end
end
for step = 0, ARGV[5] - 1 do
  local slot = (ARGV[4] + step) % ARGV[5]
  local group, port = groupAt(slot), ARGV[6] + slot
  if not groups[group] and not ports[port] then
    local dport = ARGV[3]
    if ARGV[2] == 'zmq' then dport = port end
    local text = string.format('%s %d %d %s', group, port, dport, ARGV[2])
    redis.call('HSET', key, name, text)
    return {'new', text}
  end
end
return {'exhausted'}`;

/** KEYS: channels. ARGV: name. Answers the text or nil. */
export const LOOKUP = `${PRELUDE}
return read(ARGV[1])`;

/**
 * KEYS: channels. Answers {name, text, name, text …}, or {'overfull', count} where there are too
 * many.
 */
export const LIST = `${PRELUDE}
local count = redis.call('HLEN', key)
if count > ${REGISTRY_CHANNELS_MAX} then return redis.error_reply('OVERFULL ' .. count) end
local answer = {}
for _, field in ipairs(redis.call('HKEYS', key)) do
  answer[#answer + 1] = string.sub(field, 1, ${ENTRY_BYTES_MAX})
  answer[#answer + 1] = read(field)
end
return answer`;

/**
 * KEYS: channels. ARGV: name, text, name, text … Writes back what is missing. Answers {name,
 * outcome, text} one after the other: 'restored' with the text, 'moved' with the text that stands
 * there, 'taken' with the name of the channel that has the group or port; nothing for a channel
 * that stands there as it should. {'overfull', count} where there are too many to look through.
 */
export const RESTORE = `${PRELUDE}
local count = redis.call('HLEN', key)
if count > ${REGISTRY_CHANNELS_MAX} then return redis.error_reply('OVERFULL ' .. count) end
local groups, ports = addresses()
local answer = {}
local function report(name, outcome, text)
  answer[#answer + 1] = name
  answer[#answer + 1] = outcome
  answer[#answer + 1] = text
end
for index = 1, #ARGV, 2 do
  local name, text = ARGV[index], ARGV[index + 1]
  local known = read(name)
  local group, port = string.match(text, '^(%S+) (%d+) ')
  local holder = groups[group] or ports[tonumber(port)]
  if known and known ~= text then report(name, 'moved', known)
  elseif not known and holder then report(name, 'taken', holder)
  elseif not known then
    redis.call('HSET', key, name, text)
    groups[group] = name
    ports[tonumber(port)] = name
    report(name, 'restored', text)
  end
end
return answer`;

/**
 * KEYS: sessions or members of one channel. ARGV: name, text, lease in ms, how many there may be,
 * and `news` if whoever listens on the key is to look. Answers 1, or 0 when there are too many.
 * That this user may not publish does no harm.
 */
export const LEASE = `${PRELUDE}
local at = now()
for _, field in ipairs(redis.call('HKEYS', key)) do
  local ends = tonumber(string.match(read(field), '^(%d+) '))
  if not ends or ends <= at then redis.call('HDEL', key, field) end
end
local is_new = redis.call('HEXISTS', key, ARGV[1]) == 0
if is_new and redis.call('HLEN', key) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', key, ARGV[1], string.format('%.0f', at + ARGV[3]) .. ' ' .. ARGV[2])
if redis.call('PTTL', key) < tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
if is_new or ARGV[5] == 'news' then redis.pcall('PUBLISH', key, ARGV[1]) end
return 1`;

/**
 * KEYS: sessions or members of one channel. ARGV: how many there may be. Answers {remaining ms,
 * text, remaining ms, text …} of those whose lease stands, or {'overfull', count} where there are
 * too many.
 */
export const LEASED = `${PRELUDE}
local count = redis.call('HLEN', key)
if count > tonumber(ARGV[1]) then return redis.error_reply('OVERFULL ' .. count) end
local at = now()
local answer = {}
for _, field in ipairs(redis.call('HKEYS', key)) do
  local ends, text = string.match(read(field), '^(%d+) (.*)$')
  if ends and tonumber(ends) > at then
    answer[#answer + 1] = string.format('%.0f', ends - at)
    answer[#answer + 1] = text
  end
end
return answer`;

/** The text of `address` as Redis stores it. */
export function formatAddress(address: ChannelAddress): string {
  return `${address.group} ${address.port} ${address.dport} ${formatProperties(address)}`;
}

/** What stands behind the numbers of an address. */
export function formatProperties({
  framing,
  delivery,
  authentication,
  sources = [],
}: ChannelProperties & Pick<ChannelAddress, 'sources'>): string {
  const words: string[] = [framing];
  if (delivery !== undefined) words.push(`delivery=${delivery}`);
  if (authentication !== undefined) words.push(`authentication=${authentication}`);
  if (sources.length > 0) words.push(`sources=${sources.join(',')}`);
  return words.join(' ');
}

/** What `text` says, unchecked: not an object unless it has four words and then only known ones. */
export function parseAddressText(text: string): unknown {
  const [group = '', port = '', dport = '', framing, ...properties] = text.split(' ');
  if (framing === undefined) return undefined;
  const address: Record<string, unknown> = {
    group,
    port: toPort(port),
    dport: toPort(dport),
    framing,
  };
  for (const property of properties) {
    const [name, value, ...rest] = property.split('=');
    if (value === undefined || rest.length > 0) return undefined;
    if (name === 'delivery' || name === 'authentication') address[name] = value;
    else if (name === 'sources') address[name] = value.split(',');
    else return undefined;
  }
  return address;
}

/** Only the usual digits: 1e4 and 0x50 would be numbers too. */
function toPort(text: string): number | string {
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : text;
}

/** An entry on lease as Redis answers it, unchecked. */
export interface LeasedText {
  readonly value: unknown;
  readonly remainingMs: number;
}

/** What LEASED has answered. */
export function parseLeased(texts: readonly string[]): LeasedText[] {
  const found: LeasedText[] = [];
  for (let index = 0; index + 1 < texts.length; index += 2)
    found.push({ remainingMs: Number(texts[index]), value: parseJson(texts[index + 1]) });
  return found;
}

/** What is wrong with a channel that RESTORE could not write back. */
export function conflictText(outcome: string, text: string): string {
  if (outcome === 'moved')
    return `the registry now has it at "${text}"; restart whoever still uses the address it had`;
  return `its address was given to channel "${text}"; stop one of the two and remove its entry`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
