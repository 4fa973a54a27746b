// The settings of the embedded server. Durability stays on (fsync, synchronous_commit, full pages):
// "archived" means that the message survives a power cut. The rest fits one writer per channel that
// commits large batches, on a machine that it shares with everything else.

import { totalmem } from 'node:os';

const MEBIBYTE = 1_048_576;

/**
 * Command line options `-c name=value` for a server on `port` of 127.0.0.1; `other` settings stand
 * before ours.
 */
export function serverOptions(
  port: number,
  dataDir: string,
  other: Readonly<Record<string, string>> = {},
): string[] {
  const settings = {
    port,
    data_directory: dataDir,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    max_connections: 200,
    shared_buffers: `${sharedBuffersMebibytes()}MB`,
    // A checkpoint per gigabyte of log would rewrite full pages all the time at the archiver's
    // rate.
    max_wal_size: '4GB',
    min_wal_size: '256MB',
    checkpoint_timeout: '15min',
    checkpoint_completion_target: 0.9,
    wal_buffers: '32MB',
    wal_compression: 'on',
    // Segments are read by the page through an index: parallel workers and JIT only add latency,
    // and parallel workers want more shared memory than a container has by default.
    jit: 'off',
    max_parallel_workers_per_gather: 0,
    // Years of daily partitions may be locked by one statement over all of them.
    max_locks_per_transaction: 256,
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    ...other,
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** A sixteenth of the memory, between 64 and 512 MiB. */
function sharedBuffersMebibytes(): number {
  const sixteenth = Math.floor(totalmem() / MEBIBYTE / 16);
  return Math.min(512, Math.max(64, sixteenth));
}
