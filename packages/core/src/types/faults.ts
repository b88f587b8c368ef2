// Injected faults as data: what core/faults samples, engines inject, campaigns count.

/** Where inside a product the fault strikes. Row, column and step are indices of the logical matrices. */
export type FaultSite =
  /** A[row, step] as read (for a convolution: of the implicit matrix). */
  | { readonly kind: 'operand'; readonly row: number; readonly step: number }
  /** B[step, column] as packed; hits every product that uses the packed copy while the fault lasts. */
  | { readonly kind: 'packed-weight'; readonly step: number; readonly column: number }
  /** The accumulator of C[row, column] after k-step `step`. */
  | { readonly kind: 'accumulator'; readonly row: number; readonly column: number; readonly step: number }
  /** C[row, column] as stored, before bias and activation. */
  | { readonly kind: 'output'; readonly row: number; readonly column: number }
  /** A register of the check itself: its index-th value, on the side that sums outputs or predicts them. */
  | { readonly kind: 'checksum'; readonly side: 'actual' | 'expected'; readonly index: number }
  /** The position-th id of an embedding look-up's list, as read: the sum then takes another row, or one out of range. */
  | { readonly kind: 'index'; readonly position: number }

/** What the fault does to the value at its site. Bits count from 0, the least significant. */
export type FaultEffect =
  | { readonly kind: 'flip'; readonly bits: readonly number[] }
  | { readonly kind: 'stuck'; readonly bit: number; readonly at: 0 | 1 }
  /** A wrong or missing carry: adds or subtracts 2^bit to the pattern read as an integer. */
  | { readonly kind: 'carry'; readonly bit: number; readonly sign: 1 | -1 }
  | { readonly kind: 'set'; readonly value: number }
  | { readonly kind: 'add'; readonly value: number }
  /** A multiply-add left out, or done twice. */
  | { readonly kind: 'drop-term' }
  | { readonly kind: 'double-term' }

export interface Fault {
  /** Layer or operation the fault belongs to; absent for a single product. */
  readonly layer?: string
  readonly site: FaultSite
  readonly effect: FaultEffect
  /** Persistent faults strike every product until cleared; transient ones (the default) the next product only. */
  readonly persistent?: boolean
  /** Weight back to the fault population under stratified sampling; 1 when absent. */
  readonly weight?: number
  /** Faults of one physical event share it (a whole row, column or tile; a cancelling pair). */
  readonly event?: number
}

/** A saved, replayable list of faults. */
export interface FaultList {
  readonly schema: 'ft.faults'
  readonly version: 1
  readonly seed: number
  readonly faults: readonly Fault[]
}
