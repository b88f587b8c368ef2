// How long to measure for an interval that is narrow enough: a pilot, whose samples are then thrown away (Stein's
// two-stage procedure; a run that stopped as soon as it liked its interval would be biased).

export interface Pilot {
  /** Rounds of the pilot, the half-width that they gave, and how long they took. */
  readonly rounds: number
  readonly halfWidth: number
  readonly seconds: number
}

/**
 * Rounds that bring the half-width to `wanted`, as it shrinks with their square root; no more than `budget` seconds of
 * them, and at least the pilot's.
 */
export function roundsFor({ rounds, halfWidth, seconds }: Pilot, o: { wanted: number; budget: number }): number {
  const needed = rounds * Math.max(1, (halfWidth / o.wanted) ** 2)
  const affordable = (rounds * o.budget) / Math.max(seconds, 1e-3)
  return 2 * Math.ceil(Math.max(rounds, Math.min(needed, affordable)) / 2)
}
