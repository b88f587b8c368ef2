// Some of all stripes: asked about for every difference and fact that is known, far more often than it has members.

export interface StripeSet {
  has(stripe: number): boolean
}

export interface MutableStripeSet extends StripeSet {
  add(stripe: number): void
  /** Takes these out again. */
  remove(stripes: ArrayLike<number>): void
}

/** An empty set of stripes below `count`; what is not below it is never in. Cost: a bit for each. */
export function createStripeSet(count: number): MutableStripeSet {
  const bits = new Uint32Array(Math.ceil(count / 32))
  return {
    has: (stripe) => ((bits[stripe >>> 5] ?? 0) & (1 << (stripe & 31))) !== 0,
    add: (stripe) => void (bits[stripe >>> 5]! |= 1 << (stripe & 31)),
    remove(stripes) {
      for (let i = 0; i < stripes.length; i++) bits[stripes[i]! >>> 5]! &= ~(1 << (stripes[i]! & 31))
    },
  }
}
