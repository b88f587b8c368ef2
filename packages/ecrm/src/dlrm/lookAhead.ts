// A sequence with a look at what follows.

export interface LookAhead<T> {
  readonly one: T
  /** What follows: made once, when it is first wanted. Undefined at the end. */
  readonly next: (() => T) | undefined
}

/** Makes something of each item, at its turn or when the one before looks ahead. */
export function* lookAhead<S, T>(items: Iterable<S>, make: (item: S) => T): Generator<LookAhead<T>> {
  const iterator = items[Symbol.iterator]()
  const made = (item: S): (() => T) => {
    let result: { readonly value: T } | undefined
    return () => (result ??= { value: make(item) }).value
  }
  const take = (): (() => T) | undefined => {
    const { done, value } = iterator.next()
    return done === true ? undefined : made(value)
  }
  for (let now = take(); now !== undefined;) {
    const next = take()
    yield { one: now(), next }
    now = next
  }
}
