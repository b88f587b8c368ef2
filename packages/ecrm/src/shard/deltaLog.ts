// Differences sent to a peer and not yet answered: kept to be sent again, and to be read by whoever decodes meanwhile.
import { deltaAt, headWords, type Delta, type MessageOf } from './messages.ts'
import type { StripeSet } from './stripeSet.ts'

export interface Batch {
  /** Grows from batch to batch. */
  readonly number: number
  readonly heads: Uint32Array
  readonly words: Uint32Array
  /** Called when the peer has applied the batch. */
  readonly done: () => void
}

export interface DeltaLog {
  /** Bytes that wait for the peer's answer. */
  readonly bytes: number
  /** Adds a batch; the message to send. `soon`: somebody waits for its answer. */
  append(batch: Batch, how: { complete: number; soon: boolean }): MessageOf<'deltas'>
  /** The peer has applied every batch up to this number. */
  acknowledge(number: number): void
  /** All batches again, in order: for a peer that came back or came anew. */
  resend(complete: number): MessageOf<'deltas'>[]
  /** The unanswered differences of these stripes. */
  find(stripes: StripeSet): Delta[]
}

export function createDeltaLog(): DeltaLog {
  let waiting: Batch[] = []
  let bytes = 0
  const message = (
    { number, heads, words }: Batch,
    { complete, soon }: { complete: number; soon: boolean },
  ): MessageOf<'deltas'> => {
    return { type: 'deltas', batch: number, complete, soon: Number(soon), acked: 0, life: 0, heads, words }
  }
  return {
    get bytes() {
      return bytes
    },
    append(batch, how) {
      waiting.push(batch)
      bytes += sizeOf(batch)
      return message(batch, how)
    },
    acknowledge(number) {
      const done = waiting.filter((batch) => batch.number <= number)
      if (done.length === 0) return
      waiting = waiting.filter((batch) => batch.number > number)
      for (const batch of done) {
        bytes -= sizeOf(batch)
        batch.done()
      }
    },
    resend: (complete) => waiting.map((batch) => message(batch, { complete, soon: true })),
    find: (stripes) => waiting.flatMap(({ heads, words }) => deltasOf(heads, words, stripes)),
  }
}

/** The differences of a batch that belong to these stripes. */
export function deltasOf(heads: Uint32Array, words: Uint32Array, stripes: StripeSet): Delta[] {
  const found: Delta[] = []
  for (let i = 0; i * headWords < heads.length; i++)
    if (stripes.has(heads[i * headWords]!)) found.push(deltaAt(heads, words, i))
  return found
}

const sizeOf = ({ heads, words }: Batch): number => heads.byteLength + words.byteLength
