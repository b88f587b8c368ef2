// Pushes share the rows with each other; a step of recovery has them alone, so that no difference is in flight while it decodes.

export interface Lock {
  /** Resolves to what ends it. */
  shared(): Promise<() => void>
  exclusive<T>(work: () => Promise<T>): Promise<T>
}

/** First come, first served: neither side starves. */
export function createLock(): Lock {
  const waiting: { readonly alone: boolean; go(): void }[] = []
  let sharing = 0
  let alone = false
  function next(): void {
    for (let one = waiting[0]; one !== undefined && !alone && !(one.alone && sharing > 0); one = waiting[0]) {
      waiting.shift()
      if (one.alone) alone = true
      else sharing++
      one.go()
    }
  }
  const enter = (exclusive: boolean): Promise<void> =>
    new Promise((go) => {
      waiting.push({ alone: exclusive, go })
      next()
    })
  return {
    async shared() {
      await enter(false)
      return () => {
        sharing--
        next()
      }
    },
    async exclusive(work) {
      await enter(true)
      try {
        return await work()
      } finally {
        alone = false
        next()
      }
    },
  }
}
