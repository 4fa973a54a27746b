// What `import '@backcast/client'` gives: publisher, subscriber, history, and the few values and
// types of the floors below that appear in their signatures. Compiled by `npm run build:client`.

import { provideDisposableStack } from './disposable-stack.ts';

export * from '../mod.ts';
export {
  BackcastError,
  type ChannelAddress,
  type Delivery,
  ERRORS,
  type ErrorCode,
  type ErrorEntry,
  formatInstant,
  type Framing,
  isSessionId,
  LOSS_CAUSES,
  type LossCause,
  parseInstant,
  type SessionId,
} from '#base/mod.ts';
export { KeyRing, type KeySource } from '#multicast/udp/mod.ts';
export { zmqMessage, zmqParts } from '#multicast/wire/mod.ts';

provideDisposableStack();
