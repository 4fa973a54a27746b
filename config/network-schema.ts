// The settings of who takes part: where channels get their address, the keys of authentication, and
// the members of channels without multicast. A part of the one table in schema.ts.

import { Type } from 'typebox';
import {
  FANOUT_MEMBERS_DEFAULT_MAX,
  FANOUT_MEMBERS_MAX,
  SESSION_LEASE_MS_DEFAULT,
} from '#base/mod.ts';
import { choice, integer } from './setting-types.ts';

const DAY_MS = 86_400_000;

/** Where channels get their address, and how long a session is announced. */
export const REGISTRY = Type.Object({
  kind: choice(['auto', 'file', 'redis'], {
    description: 'Where channels get their address; `auto`: Redis if there is one, or file.',
    default: 'auto',
    env: 'BACKCAST_REGISTRY',
  }),
  prefix: Type.String({
    maxLength: 64,
    description: 'Start of every Redis key; installations that share a Redis take different ones.',
    default: 'backcast:',
  }),
  leaseMs: integer({
    description: 'How long an announced session stands without renewal.',
    range: [1_000, DAY_MS],
    default: SESSION_LEASE_MS_DEFAULT,
  }),
  delivery: choice(['multicast', 'unicast'], {
    description:
      'Delivery of channels that are given an address; `unicast` where the network carries no ' +
      'multicast.',
    default: 'multicast',
    env: 'BACKCAST_DELIVERY',
  }),
  pool: Type.Object({
    groups: Type.Array(Type.String(), {
      minItems: 1,
      description:
        'Multicast groups to hand out, IPv4 or IPv6: CIDR blocks, ranges or single groups.',
      default: ['239.192.0.0/20'],
    }),
    ports: Type.Tuple([Type.Integer({ minimum: 1 }), Type.Integer({ maximum: 65_535 })], {
      description: 'First and last UDP port to hand out; every channel has its own.',
      default: [20_000, 24_095],
    }),
    dport: integer({
      description: 'PGM data-destination port of the channels handed out.',
      range: [1, 65_535],
      default: 7_500,
    }),
  }),
});

/** The keys, and whether new channels need them. */
export const AUTHENTICATION = Type.Object({
  keysFile: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'File with the keys of channels that require authentication; read again when it changes.',
      env: 'BACKCAST_AUTH_KEYS_FILE',
    }),
  ),
  keys: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'The keys themselves instead of a file: `ID:KEY`, or two separated by a comma.',
      env: 'BACKCAST_AUTH_KEYS',
      secret: true,
    }),
  ),
  newChannels: choice(['off', 'required'], {
    description: 'Whether channels that are given an address from now on require authentication.',
    default: 'off',
    env: 'BACKCAST_AUTH_NEW_CHANNELS',
  }),
});

/** Channels whose packets are sent to each member. */
export const UNICAST = Type.Object({
  ports: Type.Optional(
    Type.Tuple([Type.Integer({ minimum: 1 }), Type.Integer({ maximum: 65_535 })], {
      description:
        'First and last UDP port on which channels of unicast delivery are heard, and requests ' +
        'for repair by their publishers; any free port if not given.',
    }),
  ),
  membersMax: integer({
    description:
      'Most members of a channel of unicast delivery; each packet is sent once to each of them.',
    range: [1, FANOUT_MEMBERS_MAX],
    default: FANOUT_MEMBERS_DEFAULT_MAX,
  }),
});
