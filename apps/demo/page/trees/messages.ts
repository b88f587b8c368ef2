// What the tab and its worker say to each other.

export interface GrowOrder {
  readonly kind: 'grow'
  readonly seed: number
  readonly rounds: number
  readonly depth: number
  readonly martRate: number
  readonly dartRate: number
  readonly drop: number
  /** Share of training labels that are turned over. */
  readonly noise: number
}
export type Order = GrowOrder | { readonly kind: 'stop' }

export type Name = 'MART' | 'DART'

/** A tree as it is drawn. Children are node numbers, or ~leaf. */
export interface DrawnTree {
  readonly left: readonly number[]
  readonly right: readonly number[]
  readonly feature: readonly number[]
  /** Leaf values. */
  readonly value: readonly number[]
}

export interface Round {
  readonly kind: 'round'
  readonly run: number
  readonly name: Name
  readonly round: number
  /** Log loss of later flights. */
  readonly loss: number
  readonly tree: DrawnTree
  readonly dropped: readonly number[]
  /** Of every tree so far. */
  readonly weights: readonly number[]
}
export interface Grown {
  readonly kind: 'grown'
  readonly run: number
  readonly name: Name
  readonly best: { readonly round: number; readonly loss: number }
  readonly last: number
  /** AUC on the later flights of the model restored to its best round. */
  readonly auc: number
  readonly milliseconds: number
}
export interface Loaded {
  readonly kind: 'loaded'
  readonly train: number
  readonly later: number
  readonly features: readonly string[]
  /** Log loss of always saying the training share. */
  readonly base: number
  readonly turned: number
  readonly run: number
}
export type News = Loaded | Round | Grown | { readonly kind: 'failed'; readonly why: string }
