// Floor 4: the numbers of the running parts as Prometheus reads them: names, text, listener.

export * from './catalogue.ts';
export * from './exposition.ts';
export * from './listener.ts';
export * from './part-metrics.ts';
export * from './receiver-metrics.ts';
