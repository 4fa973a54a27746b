// A registry for who has no configuration and wants to think of nothing: what is not given is as
// usual, and it renews by itself what was announced or joined.

import { SESSION_LEASE_MS_DEFAULT, toError } from '#base/mod.ts';
import type { Reconciliation, Registry } from '#registry/directory/mod.ts';
import { openRegistry, type RegistryListeners, type RegistrySettings } from './open.ts';
import { POOL_DEFAULT } from './pool.ts';

/** What is to differ from the defaults of the configuration. */
export interface KeptRegistrySettings extends Partial<Omit<RegistrySettings, 'registry'>> {
  readonly registry?: Partial<RegistrySettings['registry']>;
}

/** Whom to tell what came of it. */
export interface KeptRegistryListeners extends RegistryListeners {
  readonly onReconciled?: (done: Reconciliation) => void;
  /** The registry could not be asked; it is asked again. */
  readonly onTrouble?: (error: Error) => void;
}

const HOME_DEFAULT = '.backcast';
const PREFIX_DEFAULT = 'backcast:';
const RENEWALS_PER_LEASE = 3;

/**
 * Opens the registry that `settings` describe. Three times within a lease it renews what was
 * announced or joined by it, and restores what the store has lost, until it is disposed. Errors:
 * those of openRegistry.
 */
export async function openKeptRegistry(
  settings: KeptRegistrySettings = {},
  { onReconciled, onTrouble, ...listeners }: KeptRegistryListeners = {},
): Promise<Registry> {
  const whole = completed(settings);
  const registry = await openRegistry(whole, listeners);
  const renew = async (): Promise<void> => {
    try {
      const done = await registry.reconcile();
      onReconciled?.(done);
    } catch (error) {
      onTrouble?.(toError(error));
    }
  };
  const timer = setInterval(() => void renew(), whole.registry.leaseMs / RENEWALS_PER_LEASE);
  return endedWith(registry, () => clearInterval(timer));
}

function completed({ registry, ...given }: KeptRegistrySettings): RegistrySettings {
  return {
    home: HOME_DEFAULT,
    channels: [],
    ...given,
    registry: {
      kind: 'auto',
      prefix: PREFIX_DEFAULT,
      leaseMs: SESSION_LEASE_MS_DEFAULT,
      pool: POOL_DEFAULT,
      ...registry,
    },
  };
}

/** `registry`, which calls `release` before it is disposed. */
function endedWith(registry: Registry, release: () => void): Registry {
  return {
    resolve: (channel, options) => registry.resolve(channel, options),
    lookup: (channel) => registry.lookup(channel),
    list: () => registry.list(),
    announce: (session) => registry.announce(session),
    withdraw: (channel, session) => registry.withdraw(channel, session),
    sessions: (channel) => registry.sessions(channel),
    join: (member) => registry.join(member),
    leave: (channel, id) => registry.leave(channel, id),
    members: (channel) => registry.members(channel),
    watchMembers: (channel, onChange) => registry.watchMembers?.(channel, onChange),
    reconcile: () => registry.reconcile(),
    [Symbol.asyncDispose]: async () => {
      release();
      await registry[Symbol.asyncDispose]();
    },
  };
}
