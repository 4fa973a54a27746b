// `--metrics-port` of commands that publish or listen themselves: their numbers as Prometheus reads
// them, while they run. Not the archiver's, which has settings of its own.

import { Option, type Command } from 'commander';
import { PORT_MAX } from '#base/mod.ts';
import type { Config } from '#config/mod.ts';
import { listenForMetrics, type MetricFamily } from '#multicast/metrics/mod.ts';
import { wholeNumber } from './command.ts';

/** What the option sets. */
export interface MetricsOptions {
  /** Port of /metrics; not served if not given. */
  readonly metricsPort?: number;
}

/** Adds the option. */
export function addMetricsOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--metrics-port <port>',
      'serve /metrics on this port while it runs (0 takes a free one)',
    ).argParser(wholeNumber(0, PORT_MAX)),
  );
}

/**
 * Serves `collect` as the options say, until `resources` end. Errors: BACKCAST_PORT_IN_USE,
 * BACKCAST_CONFIG_INVALID.
 */
export async function serveCommandMetrics(
  resources: AsyncDisposableStack,
  options: {
    readonly config: Config;
    readonly port: number | undefined;
    readonly note: (line: string) => void;
    readonly collect: () => readonly MetricFamily[];
  },
): Promise<void> {
  const { config, port, note, collect } = options;
  if (port === undefined) return;
  const { host } = config.metrics;
  const listener = resources.use(await listenForMetrics({ host, port, collect }));
  note(`metrics at ${listener.url}`);
}
