// What is counted below the machines: by the sockets of one transport, the faults injected before
// them and the capture that watches them. Summed over the sockets, since nobody but the transport
// knows how many there are.

import type { CaptureFile } from './capture.ts';
import type { FanOutSocket } from './fan-out.ts';
import { kernelDropsAt } from './kernel-drops.ts';
import type { FaultCounters, FaultySocket } from './loss-injector.ts';
import type { DatagramSocket } from './socket.ts';

/** The counters of a transport: unit and meaning. */
export const TRANSPORT_COUNTERS = {
  sendErrors: {
    unit: 'datagrams',
    sentence: 'Datagrams that the operating system would not send.',
  },
  receiveErrors: {
    unit: 'errors',
    sentence: 'Errors that the operating system reported while receiving.',
  },
  kernelDropped: {
    unit: 'datagrams',
    sentence: 'Datagrams that the kernel dropped because a receive buffer was full (Linux only).',
  },
  copiesSent: {
    unit: 'datagrams',
    sentence: 'Copies sent to members of channels of unicast delivery.',
  },
  faultsDropped: { unit: 'datagrams', sentence: 'Datagrams dropped on purpose (faults).' },
  faultsDuplicated: { unit: 'datagrams', sentence: 'Datagrams doubled on purpose (faults).' },
  captured: { unit: 'datagrams', sentence: 'Datagrams taken into the capture file.' },
  captureOmitted: {
    unit: 'datagrams',
    sentence:
      'Datagrams not in the capture file: it was full, or the disk slower than the network.',
  },
  captureWriteErrors: {
    unit: 'errors',
    sentence: 'Writes to the capture file that failed; after the first, nothing more is written.',
  },
} as const satisfies Record<string, { readonly unit: string; readonly sentence: string }>;

/** What a transport has counted. */
export type TransportCounters = Readonly<Record<keyof typeof TRANSPORT_COUNTERS, number>>;

/** What a transport consists of, for counting. */
export interface CountedParts {
  readonly sockets: readonly DatagramSocket[];
  readonly faulty: readonly FaultySocket[];
  readonly fanOuts: readonly FanOutSocket[];
  readonly capture: CaptureFile | undefined;
}

/** The counters of a transport that is not open yet. */
export function newTransportCounters(): TransportCounters {
  return countTransport({ sockets: [], faulty: [], fanOuts: [], capture: undefined });
}

/** The numbers of a transport now. */
export function countTransport({
  sockets,
  faulty,
  fanOuts,
  capture,
}: CountedParts): TransportCounters {
  const faults = faulty.map((socket) => socket.faults);
  return {
    sendErrors: sum(sockets.map(({ counters }) => counters.sendErrors)),
    receiveErrors: sum(sockets.map(({ counters }) => counters.receiveErrors)),
    kernelDropped: sum(sockets.map((it) => kernelDropsAt(it.localAddress, it.localPort))),
    copiesSent: sum(fanOuts.map(({ copiesSent }) => copiesSent)),
    faultsDropped: sum(faults.map(({ dropped }) => total(dropped))),
    faultsDuplicated: sum(faults.map(({ duplicated }) => total(duplicated))),
    captured: capture?.counters.capturedDatagrams ?? 0,
    captureOmitted: capture?.counters.omittedDatagrams ?? 0,
    captureWriteErrors: capture?.counters.writeErrors ?? 0,
  };
}

function total({ receive, send }: FaultCounters['dropped']): number {
  return sum(Object.values(receive)) + sum(Object.values(send));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
