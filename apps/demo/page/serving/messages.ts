// What the tab and its worker say to each other.

export interface Load {
  readonly seed: number
  /** Share of what the query workers of the coded cluster could serve. */
  readonly load: number
  readonly k: number
  /** Share of responses that leave late. */
  readonly late: number
  /** Milliseconds after which a query counts as late: then it is hedged or reconstructed. */
  readonly patience: number
}
export type Order =
  | { readonly kind: 'start'; readonly load: Load }
  | { readonly kind: 'speed'; readonly speed: number }
  | { readonly kind: 'break'; readonly how: 'stall' | 'kill' }

export type ClusterName = 'as many workers' | 'hedging' | 'coded'
export const clusterNames: readonly ClusterName[] = ['as many workers', 'hedging', 'coded']

export interface WorkerView {
  readonly name: string
  readonly role: 'query' | 'parity'
  /** `out`: the gateway gives it no queries, for it was silent. */
  readonly state: 'idle' | 'busy' | 'stalled' | 'out' | 'dead'
  readonly queue: number
  readonly answered: number
}
export interface Tail {
  readonly answered: number
  readonly reconstructed: number
  readonly unanswered: number
  /** Answers that were not the model's output for their query. */
  readonly wrong: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
}
export interface ClusterView {
  readonly name: ClusterName
  readonly workers: readonly WorkerView[]
  readonly open: number
  /** Since the last break, or since the start. */
  readonly now: Tail
  /** Between the start and the break. */
  readonly before: Tail | undefined
  /** Share of answers in each bin of `binEdges`, since the break. */
  readonly histogram: readonly number[]
}
export interface View {
  readonly kind: 'view'
  /** Simulated seconds. */
  readonly seconds: number
  readonly broken: string | undefined
  readonly clusters: readonly ClusterView[]
}

/** Edges of the latency bins in milliseconds, in equal ratios. */
export const binEdges: readonly number[] = Array.from({ length: 33 }, (_, i) => 5 * 300 ** (i / 32))
