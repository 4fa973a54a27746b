// The contract of the replay API as types: what it takes and what it answers, member by member, as
// JSON has it. Made from the contract itself, so that the two cannot differ. Values are not checked
// here: what came over the network has these types only once somebody has looked.

export type * from './contract-catalogue.ts';
export type * from './contract-messages.ts';
export type * from './contract-questions.ts';
export type * from './contract-service.ts';
