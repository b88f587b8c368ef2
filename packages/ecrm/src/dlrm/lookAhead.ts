// A sequence with a look at what follows.

export interface LookAhead<T> {
  readonly one: T
  /** Those that follow, at most `depth`: each made once, when it is first wanted. Empty at the end. */
  readonly following: readonly (() => T)[]
}

/** Makes something of each item, at its turn or when one of the `depth` before it looks ahead. */
export function* lookAhead<S, T>(
  items: Iterable<S>,
  { depth, make }: { readonly depth: number; readonly make: (item: S) => T },
): Generator<LookAhead<T>> {
  const iterator = items[Symbol.iterator]()
  const made = (item: S): (() => T) => {
    let result: { readonly value: T } | undefined
    return () => (result ??= { value: make(item) }).value
  }
  const waiting: (() => T)[] = []
  for (;;) {
    while (waiting.length <= depth) {
      const { done, value } = iterator.next()
      if (done === true) break
      waiting.push(made(value))
    }
    const now = waiting.shift()
    if (now === undefined) return
    yield { one: now(), following: [...waiting] }
  }
}
