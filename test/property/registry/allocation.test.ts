// Allocation against a naive model: a list of all slots in order, of which the first that clashes
// with nothing is taken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkAddress,
  checkAnnouncement,
  allocate,
  parsePool,
  preferredSlot,
  slotAddress,
  type AddressPool,
} from '#registry/mod.ts';
import * as fc from 'fast-check';
import type { ChannelAddress } from '#base/mod.ts';

const pools = fc
  .record({ groups: fc.integer({ min: 1, max: 20 }), ports: fc.integer({ min: 1, max: 20 }) })
  .map(({ groups, ports }) =>
    parsePool({
      groups: [`239.0.0.250-239.0.${groups > 6 ? 1 : 0}.${(249 + groups) % 256}`],
      ports: [9_000, 8_999 + ports],
      dport: 7_500,
    }),
  );
const names = fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/), { maxLength: 25 });

function modelAllocate(
  pool: AddressPool,
  name: string,
  taken: readonly ChannelAddress[],
): ChannelAddress | undefined {
  const slots = Array.from({ length: pool.slotCount }, (_, slot) =>
    slotAddress(pool, slot, 'native'),
  );
  const start = preferredSlot(pool, name);
  return [...slots.slice(start), ...slots.slice(0, start)].find((slot) =>
    taken.every((address) => address.group !== slot.group && address.port !== slot.port),
  );
}

test('allocation gives what the naive model gives, to the last slot and beyond', () => {
  fc.assert(
    fc.property(pools, names, (pool, channelNames) => {
      const taken: ChannelAddress[] = [];
      for (const name of channelNames) {
        const address = allocate(pool, { name, framing: 'native' }, taken);
        assert.deepEqual(address, modelAllocate(pool, name, taken));
        if (address !== undefined) taken.push(address);
      }
      assert.equal(taken.length, Math.min(channelNames.length, pool.slotCount));
      assert.equal(new Set(taken.map(({ group }) => group)).size, taken.length);
      assert.equal(new Set(taken.map(({ port }) => port)).size, taken.length);
    }),
  );
});

test('whatever a store holds is believed or refused, never an exception', () => {
  const pool = parsePool({ groups: ['239.0.0.0/8'], ports: [1, 65_535], dport: 7_500 });
  const parts = fc.record(
    {
      group: fc.oneof(fc.ipV4(), fc.anything()),
      port: fc.oneof(fc.nat(70_000), fc.anything()),
      dport: fc.oneof(fc.nat(70_000), fc.anything()),
      framing: fc.oneof(fc.constantFrom('native', 'raw', 'zmq'), fc.anything()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        parts,
        fc.json().map((text): unknown => JSON.parse(text)),
      ),
      (value) => {
        assert.equal(typeof checkAddress(value, pool).ok, 'boolean');
        assert.equal(typeof checkAnnouncement(value, 'c').ok, 'boolean');
      },
    ),
  );
});
