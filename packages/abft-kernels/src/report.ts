// What a protected product says about itself.
import type { ProtectionScheme } from '@ft/core'
import type { ThresholdKind } from './thresholds/policy.ts'

/** Where a check failed, in rows and columns of the (implicit) product. */
export type Region =
  /** A row, or its part within a range of columns, where the engine sums ranges by themselves. */
  | { readonly kind: 'row'; readonly row: number; readonly columns?: readonly [first: number, last: number] }
  | { readonly kind: 'column'; readonly column: number }
  /** A row check and a column check that cross. */
  | { readonly kind: 'element'; readonly row: number; readonly column: number }
  | {
      readonly kind: 'tile'
      readonly rows: readonly [first: number, last: number]
      readonly columns: readonly [first: number, last: number]
    }
  | { readonly kind: 'product' }

export type Outcome =
  /** The output was wrong; running the same kernel again gave the right bits. */
  | 'corrected'
  /** The input had changed in memory since the previous layer of a chain made it; that layer ran again. */
  | 'restored'
  /** The output was wrong and was left so (`onFault: 'report'`). */
  | 'reported'
  /** The output was right and the check itself had failed: a fault in its sums. Safe. */
  | 'check-fault'
  /** Rounding exceeded a statistical threshold. */
  | 'false-alarm'
  /** An operand is not finite, or the exact product exceeds the type's range: nothing to correct. */
  | 'input'
  /** The kernel gives the same wrong bits again: a persistent fault, as in its packed weights. */
  | 'uncorrectable'

export interface Detection {
  /** Image or group of a batch the product belongs to. */
  readonly item: number
  readonly region: Region
  /** 0, with a threshold of 0, of a row whose check had passed and which other rows' faults gave away. */
  readonly residual: number
  readonly threshold: number
  readonly outcome: Outcome
}

export interface Threshold {
  readonly kind: ThresholdKind
  /** Largest of the product's thresholds. */
  readonly largest: number
  /** Chance that a clean product raises a first-stage alarm; 0 for 'hard'. Confirmed false faults do not occur. */
  readonly falseAlarmProbability: number
  /** Smallest error of one output that is surely found: twice the largest threshold. */
  readonly smallestDetectable: number
}

export interface Report {
  readonly status: 'clean' | 'corrected' | 'detected' | 'uncorrectable'
  readonly scheme: ProtectionScheme
  readonly checks: number
  readonly threshold: Threshold
  readonly detections: readonly Detection[]
  /** Outputs computed again. */
  readonly recomputed: number
}

export function statusOf(detections: readonly Detection[]): Report['status'] {
  const outcomes = new Set(detections.map((detection) => detection.outcome))
  if (outcomes.has('uncorrectable')) return 'uncorrectable'
  if (outcomes.has('reported') || outcomes.has('input')) return 'detected'
  return outcomes.has('corrected') || outcomes.has('restored') ? 'corrected' : 'clean'
}
