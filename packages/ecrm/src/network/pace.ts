// How fast lost rows come back: as many at a time as fit between what trainers ask, and never none for long.

export interface PaceOptions {
  /** Most rows a step. */
  readonly stripes: number
  /** Least milliseconds between steps that begin although trainers leave no time. */
  readonly pause: number
  /** The part of the time that steps take at most beside workers; those that begin although there is none, a quarter of it. */
  readonly share: number
}

/** All times in milliseconds, of one clock. */
export interface Pace {
  /** A worker asks for rows or for an update. */
  asked(now: number): void
  /** A worker got its rows: until it asks again it is busy with them. */
  answered(now: number): void
  begun(now: number, rows: number): void
  ended(now: number): void
  /** Rows of a step that begins now; 0: it should not. */
  rows(now: number): number
  /** How long to wait before asking for `rows` again, unless a worker gets its rows before. */
  wait(now: number): number
}

/** A worker that has asked nothing for so long is not awaited. */
const quiet = 100
/** The part of the time between an answer and the next question that steps may take: estimates err. */
const ofGap = 0.6
/**
 * A step costs eight messages with k + r = 5, whatever its rows, and wakes as many processes: however short the gap, it is not made of
 * fewer rows.
 */
const fewest = 1024
/** A step that was interrupted says little of what rows take: it counts as at most so many times as long as those before. */
const atMost = 2
/** Of the share: taken in any case. */
const least = 0.25
/** Milliseconds whose share can be saved up while there was no time for it, or be owed. */
const saved = 200
/** How fast a short gap is forgotten: by this part with every longer one. Steps make gaps longer, which must not feed itself. */
const forget = 0.02

/**
 * The pace of a recovery beside training.
 *
 * Between an answer and a worker's next question the servers are idle and the worker computes: steps begin there, of as many rows as
 * fit by the shortest gap of late and by what a row has taken. Where fewer fit than a step's messages are worth, the gap has one step
 * all the same, which may reach beyond it. Even there they take processors, caches and memory from workers of the same machine, so
 * that they get about `share` of the time. Whatever the gaps, steps of `stripes` take a part of it: it ends. While no
 * worker has asked for anything for 0.1 s, or none trains, they take all of it.
 */
export function createPace({ stripes, pause, share }: PaceOptions): Pace {
  let gap = Infinity
  let answeredAt = -Infinity
  let askedAt = -Infinity
  /** Of a row, over the last steps. */
  let cost = 0.02
  let endedAt = -Infinity
  let step = { at: -Infinity, rows: 1 }
  /** Milliseconds that steps may take, as of `savedAt`. */
  let credit = 0
  let savedAt = -Infinity

  /** When a step of full size is due in any case. */
  const due = (): number => endedAt + Math.max(pause, cost * stripes * (1 / (share * least) - 1))
  /** When the share of what has gone by is more than steps took. */
  const mayAt = (): number => savedAt - credit / share

  return {
    asked(now) {
      if (answeredAt > askedAt) {
        const last = now - answeredAt
        gap = gap === Infinity ? last : Math.min(last, gap + (last - gap) * forget)
      }
      askedAt = now
    },
    answered: (now) => void (answeredAt = now),
    begun(now, rows) {
      credit = Math.min(saved, now - savedAt + credit / share) * share
      savedAt = now
      step = { at: now, rows }
    },
    ended(now) {
      endedAt = now
      credit = Math.max(credit - (now - step.at), -saved * share)
      // A few rows say little of what many take.
      if (step.rows >= Math.min(fewest, stripes))
        cost += (Math.min((now - step.at) / step.rows, cost * atMost) - cost) / 4
    },
    rows(now) {
      if (now - Math.max(askedAt, answeredAt) > quiet || now >= due()) return stripes
      if (answeredAt < askedAt || gap === Infinity || now < mayAt()) return 0
      const left = answeredAt + gap * ofGap - now
      const fit = Math.floor(left / cost)
      if (fit >= Math.min(fewest, stripes)) return Math.min(fit, stripes)
      return left > 0 && step.at < answeredAt ? Math.min(fewest, stripes) : 0
    },
    wait: (now) => Math.max(1, Math.min(due() - now, quiet)),
  }
}
