// Keeps what a socket sends and receives as a capture file that Wireshark, tshark and tcpdump open
// (the classic pcap format, link type RAW). It stands right before the socket, so faults
// injected above it do not show: a datagram dropped on purpose while receiving is in the file, one
// dropped on purpose while sending is not. Written for finding faults, not for bookkeeping: a file
// that cannot be written, or not fast enough, costs packets in the file and nothing else.
//
//   socket ──► CaptureFile.watch(socket) ──► driver        the IP and UDP headers are made up from
//                   └──► buffer ──► file                    the addresses, with correct checksums

import { open, type FileHandle } from 'node:fs/promises';
import {
  BackcastError,
  CAPTURE_BYTES_MAX,
  familyOf,
  isIpv4,
  isIpv6,
  PACKET_BYTES_MAX,
  toError,
  withoutZone,
} from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';
import { frameBytesOf, pcapFileHeader, writeFrame } from './pcap-format.ts';
import { wallClockUs } from './clock.ts';
import type { DatagramHandler, DatagramSocket, SocketCounters } from './socket.ts';

/** What a capture file has counted. */
export interface CaptureCounters {
  /** Datagrams taken into the file. */
  capturedDatagrams: number;
  /**
   * Datagrams not in the file: it had reached its bound, the disk was slower than the network, an
   * address was none of IP, or writing had failed.
   */
  omittedDatagrams: number;
  /** Writes that the operating system refused; after the first, nothing more is written. */
  writeErrors: number;
}

/**
 * Handed to the file in pieces of up to this size, or whatever there is after FLUSH_MS. Two of
 * them: one fills while the other is written.
 */
const BUFFER_BYTES = 1_048_576;
/** How long a datagram waits in memory while there is little traffic. */
const FLUSH_MS = 250;

/** A capture file being written. Several sockets may share it. Disposing completes it. */
export class CaptureFile implements AsyncDisposable {
  readonly counters: CaptureCounters = {
    capturedDatagrams: 0,
    omittedDatagrams: 0,
    writeErrors: 0,
  };
  readonly #file: FileHandle;
  readonly #bytesMax: number;
  #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #spare: Buffer | undefined = Buffer.allocUnsafe(BUFFER_BYTES);
  #end = 0;
  #fileBytes = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;
  #isOver = false;

  private constructor(file: FileHandle, bytesMax: number) {
    this.#file = file;
    this.#bytesMax = bytesMax;
    this.#end = pcapFileHeader(this.#buffer);
    this.#fileBytes = this.#end;
  }

  /**
   * Makes the file at `path`, or empties it. It grows to `bytesMax` at most. Errors:
   * BACKCAST_CONFIG_INVALID if it cannot be made; what happens later is counted.
   */
  static async open(path: string, bytesMax: number = CAPTURE_BYTES_MAX): Promise<CaptureFile> {
    try {
      return new CaptureFile(await open(path, 'w', 0o600), bytesMax);
    } catch (cause) {
      const message =
        `The capture file ${path} cannot be written: ${toError(cause).message}. ` +
        'Name a file in a folder that exists and is yours.';
      throw new BackcastError('BACKCAST_CONFIG_INVALID', message, { cause });
    }
  }

  /** The same for a setting that may be missing; the file is closed with `resources`. */
  static async openIn(
    resources: AsyncDisposableStack,
    path: string | undefined,
  ): Promise<CaptureFile | undefined> {
    return path === undefined ? undefined : resources.use(await CaptureFile.open(path));
  }

  /** Stands before `socket`, which it owns from here on, and notes all that goes through. */
  watch(socket: DatagramSocket): DatagramSocket {
    return new WatchedSocket(socket, this);
  }

  /** Takes one datagram that came or went now. Never throws, never blocks; copies the bytes. */
  add(from: Remote, to: Remote, payload: Uint8Array): void {
    const frameBytes = frameBytesOf(to.address) + payload.length;
    const isWanted =
      !this.#isOver &&
      payload.length <= PACKET_BYTES_MAX &&
      this.#fileBytes + frameBytes <= this.#bytesMax &&
      isUdpAddress(from) &&
      isUdpAddress(to) &&
      familyOf(from.address) === familyOf(to.address) &&
      this.#makeRoom(frameBytes);
    if (!isWanted) {
      this.counters.omittedDatagrams += 1;
      return;
    }
    this.#end = writeFrame(this.#buffer, this.#end, { from, to, payload, atUs: wallClockUs() });
    this.#fileBytes += frameBytes;
    this.counters.capturedDatagrams += 1;
    this.#timer ??= setTimeout(this.#flush, FLUSH_MS);
  }

  /** Writes what is still in memory and closes the file. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write(this.#buffer, this.#end);
    await this.#file.close().catch(() => undefined);
  }

  /** Whether the frame fits the buffer, which is swapped for the other one if that is free. */
  #makeRoom(frameBytes: number): boolean {
    if (this.#end + frameBytes > this.#buffer.length) this.#flush();
    return this.#end + frameBytes <= this.#buffer.length;
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const free = this.#spare;
    if (free === undefined || this.#end === 0) return;
    const full = this.#buffer;
    const fullEnd = this.#end;
    this.#buffer = free;
    this.#spare = undefined;
    this.#end = 0;
    this.#writing = this.#writeFull(full, fullEnd);
  };

  /** Writes a buffer that was swapped out, which is free afterwards. Never rejects. */
  async #writeFull(full: Buffer, fullEnd: number): Promise<void> {
    await this.#write(full, fullEnd);
    this.#spare = full;
    this.#writing = undefined;
    if (this.#end > 0 && !this.#isOver) this.#timer ??= setTimeout(this.#flush, FLUSH_MS);
  }

  /** Never rejects. */
  async #write(buffer: Buffer, end: number): Promise<void> {
    try {
      for (let start = 0; start < end && this.counters.writeErrors === 0; ) {
        const { bytesWritten } = await this.#file.write(buffer, start, end - start);
        start += bytesWritten;
      }
    } catch {
      this.counters.writeErrors += 1;
      this.#isOver = true;
    }
  }
}

function isUdpAddress({ address, port }: Remote): boolean {
  const isAddress = isIpv4(address) || isIpv6(address);
  return isAddress && Number.isInteger(port) && port >= 0 && port <= 0xffff;
}

class WatchedSocket implements DatagramSocket {
  readonly #socket: DatagramSocket;
  readonly #capture: CaptureFile;
  readonly #local: Remote;
  onDatagram: DatagramHandler = () => undefined;

  constructor(socket: DatagramSocket, capture: CaptureFile) {
    this.#socket = socket;
    this.#capture = capture;
    this.#local = { address: socket.localAddress, port: socket.localPort };
    socket.onDatagram = (bytes, remote) => {
      const { address, port } = remote;
      capture.add({ address: withoutZone(address), port }, this.#local, bytes);
      this.onDatagram(bytes, remote);
    };
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  get counters(): Readonly<SocketCounters> {
    return this.#socket.counters;
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    this.#capture.add(this.#local, { address: withoutZone(address), port }, bytes);
    this.#socket.send(bytes, address, port);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    this.onDatagram = () => undefined;
    return this.#socket[Symbol.asyncDispose]();
  }
}
