// What the tab and its worker say to each other.
import type { ProtectionScheme } from '@ft/core'
import type { Where } from './scene.ts'

export type Scheme = Extract<ProtectionScheme, 'none' | 'row' | 'row-column' | 'thread-one-sided' | 'replication'>

/** `webgpu`: where the browser gives a worker an adapter. */
export type Engine = 'wasm' | 'webgpu'

export interface ShowOrder {
  readonly kind: 'show'
  readonly engine: Engine
  readonly seed: number
  readonly scheme: Scheme
  /** 0: nothing is broken. */
  readonly faults: number
  readonly bit: number
  readonly where: Where
}
/** Single faults at every bit, many times over. */
export interface CampaignOrder {
  readonly kind: 'campaign'
  readonly engine: Engine
  readonly seed: number
  readonly scheme: Scheme
  readonly where: Where
  readonly trials: number
}
export type Order = ShowOrder | CampaignOrder

export interface Shown {
  readonly kind: 'shown'
  readonly order: ShowOrder
  /** Row-major pictures, `[ROWS, COLUMNS]`. */
  readonly clean: Float32Array
  readonly hurt: Float32Array
  readonly guarded: Float32Array
  /** Rows, and crossings of rows and columns, where a check failed. */
  readonly found: readonly { readonly row: number; readonly column?: number }[]
  readonly status: string
  readonly changed: number
  readonly stillWrong: number
  readonly recomputed: number
  readonly checks: number
  readonly smallest: number
  /** Median milliseconds of a product. */
  readonly plainMs: number
  readonly guardedMs: number
}
export interface Tally {
  readonly kind: 'tally'
  readonly done: number
  readonly total: number
  /** By bit: faults that changed the picture, those found, those put right to the last bit. */
  readonly changed: readonly number[]
  readonly found: readonly number[]
  readonly exact: readonly number[]
  readonly falseAlarms: number
}
export type News =
  | { readonly kind: 'progress'; readonly note: string }
  /** What the engines of this browser are, as soon as each is known. */
  | { readonly kind: 'engine'; readonly engine: Engine; readonly device: string }
  | Shown
  | Tally
