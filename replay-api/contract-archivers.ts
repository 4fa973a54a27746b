// The part of the contract that is about the archivers of a channel, and about the three watermarks
// that must not be taken for each other: received, spooled, archived.

import { Type } from 'typebox';
import { closed, instant, position } from './contract-parts.ts';

const archiver = Type.Object(
  {
    name: Type.String({ description: 'Name of the archiver.', examples: ['archiver-1'] }),
    isWriting: Type.Boolean({ description: 'Whether it is the one that writes the channel.' }),
    seenAt: instant('When it said this. It does so every few seconds; one that does not is gone.'),
    heardAt: instant('When it last heard anything of the channel.'),
    received: position(
      'The position that the last message it has heard has, or will have if nothing is lost ' +
        'until then. In memory only, as far as it is beyond `spooled`: a crash of the archiver ' +
        'loses it, unless a publisher or another archiver still has it. No reader is served it.',
      0,
    ),
    spooled: position(
      'Messages up to this position are on the disk of this archiver, or archived. A crash of ' +
        'the archiver does not lose them, its disk would. No reader is served what is beyond ' +
        '`archivedThrough` of the channel.',
      0,
    ),
  },
  closed,
);

/** The archivers of a channel. */
export const archivers = Type.Array(archiver, {
  description:
    'The archivers that hear the channel, by name, and how far each says it is. What all of them ' +
    'agree on, and what can be read, is `archivedThrough`.',
});
