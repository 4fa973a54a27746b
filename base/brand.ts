// Nominal types for values that look alike: a session is not just any string, a sequence not just
// any number. Brands exist at compile time only.

declare const brand: unique symbol;

/** `Value` that can only be made by the function that checks it. */
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };
