// A process of its own that joins the group and port of its arguments and tells its parent what it
// hears. Ends when the parent disconnects.

import { openGroupSocket } from '#multicast/udp/mod.ts';
import { LOOPBACK } from './multicast.ts';

const [group = '', port = ''] = process.argv.slice(2);
const socket = await openGroupSocket({
  group,
  port: Number(port),
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 262_144,
});
socket.onDatagram = (bytes) => process.send?.(Buffer.from(bytes).toString());
process.once('disconnect', () => void socket[Symbol.asyncDispose]());
process.send?.('joined');
