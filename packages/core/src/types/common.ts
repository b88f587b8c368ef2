// Small types that every package's options and results share.

/** A value with its interval; `confidence` is the two-sided coverage, 0.95 unless stated. */
export interface Interval {
  readonly value: number
  readonly low: number
  readonly high: number
  readonly confidence: number
  /** Independent samples behind the interval. */
  readonly n: number
}

/** A step of long work. `total` is known from the first report on. */
export interface Progress {
  readonly phase: string
  readonly done: number
  readonly total: number
  /** A short measured fact for display, such as a loss. */
  readonly note?: string
}

/** Options of every long-running call. */
export interface LongRunning {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}

/** Something that holds memory or processes outside the garbage collector's reach. */
export interface Releasable {
  release(): void
}
