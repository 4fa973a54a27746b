// The publish time of messages whose framing states none.

/** Stands for "not stated"; whoever needs a time takes the one at which the message arrived. */
export const NO_PUBLISH_TIME = -1;
