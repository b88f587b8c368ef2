// What the tab says to a run of shards, in a worker of the page or on the demo's server, and what it hears.

export interface RunSettings {
  readonly seed: number
  /** Servers that may be lost at once. */
  readonly r: 1 | 2
  /** Steps of 128 flights a second, at most. */
  readonly pace: number
  /** Stripes recovered in the background every 20 ms. */
  readonly sweep: number
}
export type Order =
  | { readonly kind: 'start'; readonly settings: RunSettings }
  | { readonly kind: 'kill'; readonly server: number }
  | { readonly kind: 'compare' }

export interface ServerView {
  /** Rows of data and of parity that it holds. */
  readonly data: number
  readonly parity: number
  /** Of both, those not recovered yet. */
  readonly missing: number
  readonly pulled: number
  readonly pushed: number
}
export interface View {
  readonly kind: 'view'
  readonly step: number
  /** Log loss of each step's batch; both runs, so far. */
  readonly losses: readonly number[]
  readonly twinLosses: readonly number[]
  /** Steps whose losses differ in any bit. */
  readonly unlike: number
  readonly kills: readonly { readonly step: number; readonly server: number }[]
  readonly servers: readonly ServerView[]
  readonly rows: number
  readonly replaced: number
  readonly lost: number
  readonly longestMs: number
  readonly recoveryMs: number | undefined
}
/** Every embedding, its optimizer state and version, and the dense network, against the never-failed twin's. */
export interface Compared {
  readonly kind: 'compared'
  readonly step: number
  readonly numbers: number
  readonly differing: number
}
export type News = View | Compared | { readonly kind: 'failed'; readonly why: string }
