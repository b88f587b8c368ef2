// Differences on their way to parity: the batches of an update are numbered alike for all its peers and kept until answered.
import { createDeltaLog, type Batch, type DeltaLog } from './deltaLog.ts'
import { headWords, type Delta, type Send } from './messages.ts'
import type { StripeSet } from './stripeSet.ts'

/** Differences for one peer. */
export interface Part {
  readonly peer: number
  readonly heads: Uint32Array
  readonly words: Uint32Array
}

export interface Outbox {
  /** The number that the next update's batches get. */
  readonly next: number
  /** Every batch below it is at its parities. */
  readonly oldest: number
  /** Updates whose batches are not. */
  readonly updates: number
  /** Bytes that peers have not answered, and the most that one of them ever owed. */
  readonly bytes: number
  readonly most: number
  /** Differences sent, each once, and their bytes with heads. */
  readonly sent: { readonly rows: number; readonly bytes: number }
  /** Whether every peer owes less than it may. */
  readonly room: boolean
  /** Logs one batch a peer under one number and sends them. `soon`: somebody waits until they are at their parities. */
  transmit(parts: readonly Part[], how: { soon: boolean }): void
  /** The same for what a parity server was found to lack. */
  repair(part: Part): void
  /** A peer has applied every batch up to this number. */
  acknowledge(peer: number, batch: number): void
  /** What a peer has not answered, again. */
  resend(peer: number): void
  /** Differences of these stripes that some parity may lack. */
  find(stripes: StripeSet): Delta[]
}

/** @param recovering - whether this server has rows to recover: nothing it sent before counts as settled then */
export function createOutbox(o: { send: Send; logBytes: number; recovering(): boolean }): Outbox {
  const logs = new Map<number, DeltaLog>()
  /** Updates not yet at their parities: number and how many peers are to answer. In order of number. */
  const outstanding = new Map<number, number>()
  const sent = { rows: 0, bytes: 0 }
  let next = 1
  let lastRepair = 0
  let most = 0

  const oldest = (): number => outstanding.keys().next().value ?? next
  /** The number below which every batch is settled; 0 while that cannot be said. */
  const complete = (): number => (o.recovering() || oldest() <= lastRepair ? 0 : oldest())

  const logOf = (peer: number): DeltaLog => {
    let log = logs.get(peer)
    if (log === undefined) logs.set(peer, (log = createDeltaLog()))
    return log
  }

  function settle(number: number): void {
    const left = outstanding.get(number)! - 1
    if (left > 0) outstanding.set(number, left)
    else outstanding.delete(number)
  }

  function transmit(parts: readonly Part[], { soon }: { soon: boolean }): void {
    const number = next++
    if (parts.length === 0) return
    outstanding.set(number, parts.length)
    const done = (): void => settle(number)
    const settled = complete()
    for (const { peer, heads, words } of parts) {
      const batch: Batch = { number, heads, words, done }
      sent.rows += heads.length / headWords
      sent.bytes += heads.byteLength + words.byteLength
      const log = logOf(peer)
      // The next push may not fit beside this one: then somebody waits, too.
      const half = 2 * (log.bytes + heads.byteLength + words.byteLength) >= o.logBytes
      o.send(peer, log.append(batch, { complete: settled, soon: soon || half }))
      most = Math.max(most, log.bytes)
    }
  }

  return {
    get next() {
      return next
    },
    get oldest() {
      return oldest()
    },
    get updates() {
      return outstanding.size
    },
    get bytes() {
      let sum = 0
      for (const log of logs.values()) sum += log.bytes
      return sum
    },
    get most() {
      return most
    },
    sent,
    get room() {
      for (const log of logs.values()) if (log.bytes >= o.logBytes) return false
      return true
    },
    transmit,
    repair(part) {
      lastRepair = next
      transmit([part], { soon: true })
    },
    acknowledge: (peer, batch) => logs.get(peer)?.acknowledge(batch),
    resend(peer) {
      for (const message of logs.get(peer)?.resend(complete()) ?? []) o.send(peer, message)
    },
    find: (stripes) => [...logs.values()].flatMap((log) => log.find(stripes)),
  }
}
