// UDP sockets for multicast on one named interface: the only place that touches the network. Knows
// bytes and addresses, not packets. What goes wrong when a socket opens is a BackcastError; what
// goes wrong afterwards is counted, since a datagram may be lost anyway.

import dgram from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { assert, BackcastError, isMulticastGroup, toError } from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';

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
  /** The address and port that the socket is bound to. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Called for every datagram, also when several arrive in one turn of the event loop. */
  onDatagram: DatagramHandler;
  readonly counters: Readonly<SocketCounters>;
  /**
   * Sends `bytes` to a dotted IPv4 address. Never throws and never blocks. The bytes belong to the
   * socket from here on: usually they have left when send() returns, but when the kernel's buffer
   * is full they are sent later, so they must not be changed any more.
   */
  send(bytes: Uint8Array, address: string, port: number): void;
}

/** A socket that hears a group. */
export interface GroupSocketOptions {
  readonly group: string;
  readonly port: number;
  /** IPv4 address of the interface on which the group is joined. */
  readonly interfaceAddress: string;
  /** Asked of the kernel, which silently grants no more than net.core.rmem_max. */
  readonly receiveBufferBytes: number;
  /** Routers that what is sent may pass, plus one. */
  readonly ttl?: number;
}

/** A socket that hears what is sent to a port of this host, and does not send. */
export interface PortSocketOptions {
  readonly port: number;
  /** IPv4 address of the interface at which it is heard. */
  readonly interfaceAddress: string;
}

/** A socket that sends, and hears what is sent to it alone. */
export interface SendSocketOptions {
  /** IPv4 address of the interface through which multicast leaves; also the source address. */
  readonly interfaceAddress: string;
  /** Routers that a datagram may pass, plus one; 1 stays on the local network. */
  readonly ttl: number;
  /** Asked of the kernel, which silently grants no more than net.core.wmem_max. */
  readonly sendBufferBytes: number;
}

/** Receive buffer of a socket that hears little: NAKs and the like. */
const CONTROL_BUFFER_BYTES = 1_048_576;

/**
 * Joins `group` on the interface and hears what is sent to group and port. Bound to the group
 * address, so it neither hears other groups on the port nor takes unicast datagrams away from
 * others. Any number of sockets of any process may share group and port, and each hears everything;
 * also OpenPGM's and ZeroMQ's. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE,
 * BACKCAST_CONFIG_INVALID (port not permitted).
 */
export async function openGroupSocket(options: GroupSocketOptions): Promise<DatagramSocket> {
  const { group, port, interfaceAddress, receiveBufferBytes, ttl = 1 } = options;
  assert(isMulticastGroup(group), 'a group socket is bound to a multicast group');
  return openSocket({ address: group, port, interfaceAddress, ttl }, (socket) => {
    socket.addMembership(group, interfaceAddress);
    socket.setRecvBufferSize(receiveBufferBytes);
  });
}

/**
 * Opens a socket on a port of its own at the interface's address. Multicast that it sends is heard
 * on this host too. Errors: BACKCAST_INTERFACE_UNUSABLE.
 */
export async function openSendSocket(options: SendSocketOptions): Promise<DatagramSocket> {
  const { interfaceAddress, ttl, sendBufferBytes } = options;
  return openSocket({ address: interfaceAddress, port: 0, interfaceAddress, ttl }, (socket) => {
    socket.setSendBufferSize(sendBufferBytes);
    socket.setRecvBufferSize(CONTROL_BUFFER_BYTES);
  });
}

/**
 * Hears what is sent to the port at exactly this address, before any socket that is bound to the
 * port at every address. Others may share it; what is sent there reaches one of them. Errors:
 * BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_CONFIG_INVALID (port not permitted).
 */
export async function openPortSocket(options: PortSocketOptions): Promise<DatagramSocket> {
  const { port, interfaceAddress } = options;
  const binding = { address: interfaceAddress, port, interfaceAddress, ttl: 1 };
  return openSocket(binding, (socket) => socket.setRecvBufferSize(CONTROL_BUFFER_BYTES));
}

interface Binding {
  readonly address: string;
  readonly port: number;
  readonly interfaceAddress: string;
  readonly ttl: number;
}

async function openSocket(
  binding: Binding,
  configure: (socket: dgram.Socket) => void,
): Promise<DatagramSocket> {
  const isShared = binding.port !== 0;
  const socket = dgram.createSocket({
    type: 'udp4',
    // Both: OpenPGM shares ports by SO_REUSEPORT only, which the kernel allows for one user's
    // processes; SO_REUSEADDR shares the port among ours whoever runs them.
    reusePort: isShared,
    reuseAddr: isShared,
    // Addresses are dotted already: without this, each send would ask the resolver.
    lookup: (address, _options, callback) => callback(null, address, 4),
  });
  try {
    const listening = once(socket, 'listening');
    socket.bind({ address: binding.address, port: binding.port, exclusive: true });
    await listening;
    socket.setMulticastInterface(binding.interfaceAddress);
    socket.setMulticastTTL(binding.ttl);
    socket.setMulticastLoopback(true);
    configure(socket);
  } catch (error) {
    socket.close();
    throw explain(error, binding);
  }
  return new UdpSocket(socket);
}

class UdpSocket implements DatagramSocket {
  readonly localAddress: string;
  readonly localPort: number;
  readonly counters: SocketCounters = { sendErrors: 0, receiveErrors: 0 };
  onDatagram: DatagramHandler = () => undefined;

  #socket: dgram.Socket | undefined;

  constructor(socket: dgram.Socket) {
    const local = socket.address();
    this.localAddress = local.address;
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
      if (this.#socket === undefined) this.counters.sendErrors += 1;
      else this.#socket.send(bytes, port, address, this.#onSent);
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

function explain(error: unknown, binding: Binding): BackcastError {
  const cause = toError(error);
  const code = 'code' in cause ? String(cause.code) : cause.name;
  const { address, port, interfaceAddress } = binding;
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
  const message =
    `${interfaceAddress} cannot be used for multicast (${code}). ` +
    `Give the IPv4 address of an interface of this host: ${usableInterfaces()}.`;
  return new BackcastError('BACKCAST_INTERFACE_UNUSABLE', message, { cause });
}

function usableInterfaces(): string {
  const usable = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) => `${address} (${name})`),
  );
  return usable.length === 0 ? 'there is none with an IPv4 address' : usable.join(', ');
}
