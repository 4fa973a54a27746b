// UDP sockets for multicast on one named interface: the only place that touches the network. Knows
// bytes and addresses, not packets. What goes wrong when a socket opens is a BackcastError; what
// goes wrong afterwards is counted, since a datagram may be lost anyway.

import dgram from 'node:dgram';
import { once } from 'node:events';
import {
  assert,
  BackcastError,
  endpointText,
  isMulticastGroup,
  isSourceSpecificGroup,
  needsZone,
  sourcesProblem,
  toError,
  withoutZone,
} from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';
import { type MulticastInterface, resolveInterface, unusableInterface } from './interface.ts';

/** Takes one datagram; the bytes are the receiver's to keep. */
export type DatagramHandler = (bytes: Uint8Array, remote: Remote) => void;

/** What a socket has counted since it opened. */
export interface SocketCounters {
  /** Datagrams that the operating system would not send. */
  sendErrors: number;
  /** Errors that the operating system reported while receiving. */
  receiveErrors: number;
}

/**
 * A socket, or something that stands before one. Disposing closes it; then nothing is sent or heard
 * any more.
 */
export interface DatagramSocket extends AsyncDisposable {
  /** The address, without a zone, and the port that the socket is bound to. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Called for every datagram, also when several arrive in one turn of the event loop. */
  onDatagram: DatagramHandler;
  readonly counters: Readonly<SocketCounters>;
  /**
   * Sends `bytes` to an address of the socket's family. Never throws and never blocks. The bytes
   * belong to the socket from here on: usually they have left when send() returns, but when the
   * kernel's buffer is full they are sent later, so they must not be changed any more.
   */
  send(bytes: Uint8Array, address: string, port: number): void;
}

/** A socket that hears a group. */
export interface GroupSocketOptions {
  readonly group: string;
  readonly port: number;
  /** Only these hosts are heard; without any, whoever sends to the group. */
  readonly sources?: readonly string[] | undefined;
  /** Address or name of the interface on which the group is joined. */
  readonly interfaceAddress: string;
  /** Asked of the kernel, which silently grants no more than net.core.rmem_max. */
  readonly receiveBufferBytes: number;
  /** Routers that what is sent may pass, plus one. */
  readonly ttl?: number;
}

/** A socket that hears what is sent to a port of this host, and does not send. */
export interface PortSocketOptions {
  /** The group that the port belongs to: decides between IPv4 and IPv6. */
  readonly group: string;
  readonly port: number;
  /** Address or name of the interface at whose address it is heard. */
  readonly interfaceAddress: string;
}

/** A socket that hears, and sends, what concerns all of this host. */
export interface BroadcastSocketOptions {
  readonly port: number;
  /** A broadcast address of the loopback network. */
  readonly address: string;
}

/** A socket that sends, and hears what is sent to it alone. */
export interface SendSocketOptions {
  /** Address or name of the interface through which multicast leaves; its address is the source. */
  readonly interfaceAddress: string;
  /**
   * Where multicast will be sent: decides between IPv4 and IPv6. Without it, the interface does.
   */
  readonly group?: string;
  /** Routers that a datagram may pass, plus one; 1 stays on the local network. */
  readonly ttl: number;
  /** Asked of the kernel, which silently grants no more than net.core.wmem_max. */
  readonly sendBufferBytes: number;
}

/** A socket for a channel of which each member is sent a copy of its own. */
export interface UnicastSocketOptions {
  /** Address or name of the interface. */
  readonly interfaceAddress: string;
  /** Group of the channel: decides between IPv4 and IPv6. */
  readonly group: string;
  /** Asked of the kernel, as for other sockets; 1 MiB by default. */
  readonly sendBufferBytes?: number;
  /** Asked of the kernel, as for other sockets; 1 MiB by default. */
  readonly receiveBufferBytes?: number;
  /** First and last of the ports to choose from; any free one if not given. */
  readonly ports?: PortRange | undefined;
}

/** First and last UDP port of a range, both included. */
export type PortRange = readonly [number, number];

/** Receive buffer of a socket that hears little: NAKs and the like. */
const CONTROL_BUFFER_BYTES = 1_048_576;
const LOOPBACK = '127.0.0.1';
/**
 * What may wait in this process for the interface to take it: half a second of a gigabit. A sender
 * that outruns the interface for longer loses datagrams here instead of memory.
 */
const SEND_QUEUE_BYTES_MAX = 64 * 1_048_576;
/** Nothing is sent to it. */
const PROBE_PORT = 9;

/**
 * Joins `group` on the interface and hears what is sent to group and port. Bound to the group
 * address, so it neither hears other groups on the port nor takes unicast datagrams away from
 * others. Any number of sockets of any process may share group and port, and each hears everything;
 * also OpenPGM's and ZeroMQ's. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE,
 * BACKCAST_CONFIG_INVALID (port not permitted, sources wrong, or none where the group needs them).
 */
export async function openGroupSocket(options: GroupSocketOptions): Promise<DatagramSocket> {
  const { group, port, interfaceAddress, receiveBufferBytes, sources = [], ttl = 1 } = options;
  assert(isMulticastGroup(group), 'a group socket is bound to a multicast group');
  requireSources(group, sources);
  const through = resolveInterface(interfaceAddress, group);
  const choice = interfaceAddress;
  const binding = { address: group, port, through, choice, ttl, isShared: true };
  return openSocket(binding, (socket) => {
    const { selector } = through;
    for (const source of sources) socket.addSourceSpecificMembership(source, group, selector);
    if (sources.length === 0) socket.addMembership(group, selector);
    socket.setRecvBufferSize(receiveBufferBytes);
  });
}

/**
 * Opens a socket on a port of its own at the interface's address. Multicast that it sends is heard
 * on this host too. Errors: BACKCAST_INTERFACE_UNUSABLE, also where IPv6 has no route for `group`.
 */
export async function openSendSocket(options: SendSocketOptions): Promise<DatagramSocket> {
  const { interfaceAddress, group, ttl, sendBufferBytes } = options;
  const through = resolveInterface(interfaceAddress, group ?? interfaceAddress);
  const binding = ownBinding({ through, choice: interfaceAddress, ttl, port: 0 });
  if (group !== undefined && through.family === 'IPv6') await requireRoute(binding, group);
  return openSocket(binding, (socket) => {
    socket.setSendBufferSize(sendBufferBytes);
    socket.setRecvBufferSize(CONTROL_BUFFER_BYTES);
  });
}

/**
 * Opens a socket on a port of its own at the interface's address, for a channel of which each
 * member is sent a copy of its own. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE (all
 * of `ports`), BACKCAST_CONFIG_INVALID (port not permitted).
 */
export async function openUnicastSocket(options: UnicastSocketOptions): Promise<DatagramSocket> {
  const { interfaceAddress, group, ports: [first, last] = [0, 0] } = options;
  const through = resolveInterface(interfaceAddress, group);
  for (let port = first; ; port += 1) {
    const binding = ownBinding({ through, choice: interfaceAddress, ttl: 1, port });
    try {
      return await openSocket(binding, (socket) => {
        socket.setSendBufferSize(options.sendBufferBytes ?? CONTROL_BUFFER_BYTES);
        socket.setRecvBufferSize(options.receiveBufferBytes ?? CONTROL_BUFFER_BYTES);
      });
    } catch (error) {
      if (port < last && isPortInUse(error)) continue;
      throw error;
    }
  }
}

/** At the interface's address, shared with nobody. */
function ownBinding(binding: Omit<Binding, 'address' | 'isShared'>): Binding {
  return { ...binding, address: binding.through.address, isShared: false };
}

/**
 * Hears what is sent to the port at exactly this address, before any socket that is bound to the
 * port at every address. Others may share it; what is sent there reaches one of them. Errors:
 * BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_CONFIG_INVALID (port not permitted).
 */
export async function openPortSocket(options: PortSocketOptions): Promise<DatagramSocket> {
  const { port, interfaceAddress, group } = options;
  const through = resolveInterface(interfaceAddress, group);
  const place = { address: through.address, port, isShared: true };
  const binding = { ...place, through, choice: interfaceAddress, ttl: 1 };
  return openSocket(binding, (socket) => socket.setRecvBufferSize(CONTROL_BUFFER_BYTES));
}

/**
 * Hears and sends broadcasts on the loopback network. Others may share the port, and each hears
 * everything, also what it sends itself. Errors: as openPortSocket.
 */
export async function openBroadcastSocket(
  options: BroadcastSocketOptions,
): Promise<DatagramSocket> {
  const { port, address } = options;
  const through = resolveInterface(LOOPBACK, address);
  const binding = { address, port, through, choice: LOOPBACK, ttl: 1, isShared: true };
  return openSocket(binding, (socket) => {
    socket.setBroadcast(true);
    socket.setRecvBufferSize(CONTROL_BUFFER_BYTES);
  });
}

function requireSources(group: string, sources: readonly string[]): void {
  const problem = sourcesProblem({ group, sources });
  if (problem !== undefined) throw new BackcastError('BACKCAST_CONFIG_INVALID', problem);
  if (sources.length > 0 || !isSourceSpecificGroup(group)) return;
  const message =
    `The group ${group} is for joins that name their sources, and none is named. Give the ` +
    "publishers' addresses (sources of the channel, or --sources), or take another group.";
  throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
}

/**
 * Sending by IPv6 to where no route leads would fail packet by packet, and the loopback interface
 * of Linux has no route for multicast unless somebody adds it.
 */
async function requireRoute(binding: Binding, group: string): Promise<void> {
  const { choice, through } = binding;
  const probe = newSocket({ ...binding, port: 0 });
  try {
    await bind(probe, binding);
    const connected = once(probe, 'connect');
    probe.connect(PROBE_PORT, group);
    await connected;
  } catch (error) {
    const cause = toError(error);
    if (codeOf(cause) !== 'ENETUNREACH') throw explain(error, binding);
    const { zone = '' } = through;
    const kind = zone === 'lo' ? 'local' : 'multicast';
    const command = `ip -6 route add ${kind} ff00::/8 dev ${zone} table local`;
    const reason = `${zone} has no route for IPv6 multicast; \`${command}\` adds it`;
    throw unusableInterface(choice, reason, cause);
  } finally {
    probe.close();
  }
}

interface Binding {
  readonly address: string;
  readonly port: number;
  readonly through: MulticastInterface;
  /** The interface as it was asked for. */
  readonly choice: string;
  readonly ttl: number;
  /** Whether other sockets may be bound to the same address and port. */
  readonly isShared: boolean;
}

async function openSocket(
  binding: Binding,
  configure: (socket: dgram.Socket) => void,
): Promise<DatagramSocket> {
  const socket = newSocket(binding);
  try {
    await bind(socket, binding);
    configure(socket);
  } catch (error) {
    socket.close();
    throw explain(error, binding);
  }
  return new UdpSocket(socket);
}

function newSocket({ isShared, through: { family, zone } }: Binding): dgram.Socket {
  const isIpv6 = family === 'IPv6';
  return dgram.createSocket({
    type: isIpv6 ? 'udp6' : 'udp4',
    ipv6Only: isIpv6,
    // Both: OpenPGM shares ports by SO_REUSEPORT only, which the kernel allows for one user's
    // processes; SO_REUSEADDR shares the port among ours whoever runs them.
    reusePort: isShared,
    reuseAddr: isShared,
    // Addresses are numbers already: without this, each send would ask the resolver.
    lookup: (address, _options, callback) =>
      callback(null, isIpv6 ? zoned(address, zone) : address, isIpv6 ? 6 : 4),
  });
}

/** Machines know no zones: an address of one link is on that of the interface. */
function zoned(address: string, zone = ''): string {
  return needsZone(address) && !address.includes('%') ? `${address}%${zone}` : address;
}

async function bind(socket: dgram.Socket, binding: Binding): Promise<void> {
  const { address, port, through, ttl } = binding;
  const listening = once(socket, 'listening');
  socket.bind({ address, port, exclusive: true });
  await listening;
  socket.setMulticastInterface(through.selector);
  socket.setMulticastTTL(ttl);
  socket.setMulticastLoopback(true);
}

class UdpSocket implements DatagramSocket {
  readonly localAddress: string;
  readonly localPort: number;
  readonly counters: SocketCounters = { sendErrors: 0, receiveErrors: 0 };
  onDatagram: DatagramHandler = () => undefined;

  #socket: dgram.Socket | undefined;

  constructor(socket: dgram.Socket) {
    const local = socket.address();
    this.localAddress = withoutZone(local.address);
    this.localPort = local.port;
    this.#socket = socket;
    socket.on('message', (bytes, remote) => this.onDatagram(bytes, remote));
    socket.on('error', () => {
      this.counters.receiveErrors += 1;
    });
  }

  // dgram throws for arguments that can never work, such as port 0, and where there is no memory.
  send(bytes: Uint8Array, address: string, port: number): void {
    try {
      const socket = this.#socket;
      if (socket === undefined || socket.getSendQueueSize() > SEND_QUEUE_BYTES_MAX)
        this.counters.sendErrors += 1;
      else socket.send(bytes, port, address, this.#onSent);
    } catch {
      this.counters.sendErrors += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.onDatagram = () => undefined;
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.counters.sendErrors += 1;
  };
}

function isPortInUse(error: unknown): boolean {
  return error instanceof BackcastError && error.code === 'BACKCAST_PORT_IN_USE';
}

function explain(error: unknown, binding: Binding): BackcastError {
  const cause = toError(error);
  const code = codeOf(cause);
  const { address, port, choice } = binding;
  if (code === 'EADDRINUSE') {
    const message =
      `UDP port ${port} on ${address} belongs to another program that does not share it. ` +
      `Stop that program (ss -lunp 'sport = :${port}' shows it) or choose another port.`;
    return new BackcastError('BACKCAST_PORT_IN_USE', message, { cause });
  }
  if (code === 'EACCES') {
    const message = `UDP port ${port} is not permitted to this user. Choose a port above 1023.`;
    return new BackcastError('BACKCAST_CONFIG_INVALID', message, { cause });
  }
  if (code === 'ENOBUFS') {
    const message =
      `${endpointText(address, port)} has more sources than this kernel takes for one socket. ` +
      'Name fewer, or raise net.ipv4.igmp_max_msf (IPv6: net.ipv6.mld_max_msf).';
    return new BackcastError('BACKCAST_CONFIG_INVALID', message, { cause });
  }
  return unusableInterface(choice, code, cause);
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.name;
}
