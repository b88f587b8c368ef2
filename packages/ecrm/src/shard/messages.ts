// What shards and workers say to each other: numbers and arrays of 32-bit words, so that one codec carries all of it.
// Floats travel as their bits.

/** Fields of each message, in the order of the wire. */
export const schema = {
  /**
   * First frame of a connection: who speaks, in which run, and where it listens (text; empty: answer here). `token` is a
   * secret of those who may speak. `epoch` counts the trainers of the run: whoever speaks for an earlier one is refused.
   */
  hello: { numbers: ['protocol', 'node', 'incarnation', 'epoch'], arrays: ['token', 'run', 'address'] },
  /** From the control: the incarnation of every server and where each is (text, a list; empty in one process). */
  members: { numbers: [], arrays: ['incarnations', 'addresses'] },
  /**
   * The shard's part in a run begins: what all agree on (see spec.ts), and where the others reach this shard (text). `linger`:
   * milliseconds that the part stays after its control is gone, for the next one (`attach`); 0: it ends.
   */
  start: { numbers: ['server', 'incarnation', 'lost', 'linger'], arrays: ['spec', 'address'] },
  ping: { numbers: [], arrays: [] },
  /** `missing`: rows still to be recovered. */
  pong: { numbers: ['missing', 'unrecoverable'], arrays: [] },
  /** From the control: recover what is lost in the background (SweepOptions); `share` in thousandths. */
  sweep: { numbers: ['stripes', 'pause', 'share'], arrays: [] },
  pull: { numbers: ['id'], arrays: ['rows'] },
  rows: { numbers: ['id'], arrays: ['values'] },
  /** A worker reads these rows next: those that are lost are decoded meanwhile. No answer. */
  expect: { numbers: [], arrays: ['rows'] },
  /**
   * `id` counts a worker's pushes to this server: at most two are unanswered (`mostUnderWay`). `readsNext` = 1: a pull of the worker
   * follows before it waits for the answer; `pushesNext` = 1: a push does, too.
   */
  push: { numbers: ['id', 'readsNext', 'pushesNext'], arrays: ['rows', 'gradients'] },
  pushed: { numbers: ['id', 'rejected'], arrays: [] },
  /** Like a push, but the rows become these: bits of values and state. A version is at least the one given. */
  write: { numbers: ['id'], arrays: ['rows', 'words', 'versions'] },
  /**
   * From a scrub. heads: stripe, position and version of rows that are not what they should be. Data rows that still have
   * the version get the words, without a difference, as their parity was right; parity rows are encoded anew. The answer
   * has 1 for each row that was put right, else 0.
   */
  mend: { numbers: ['id'], arrays: ['heads', 'words'] },
  /** Flips a bit in memory, as a fault would. */
  flip: { numbers: ['id', 'stripe', 'position', 'word', 'bit'], arrays: [] },
  /**
   * Differences for parity rows. A sender numbers the batches of a push alike for all its peers; `complete`: every
   * batch below it is at every parity, and the sender has no row left to recover. `soon` = 1: somebody waits for the answer.
   * `acked` and `life`: an answer to the receiver's own batches that has waited for this, as in `acked`; 0: none.
   */
  deltas: { numbers: ['batch', 'complete', 'soon', 'acked', 'life'], arrays: ['heads', 'words'] },
  /** Every batch up to this one is applied. `life`: the incarnation of the sender of the batches; a later one has others. */
  acked: { numbers: ['batch', 'life'], arrays: [] },
  /** `urgent` = 1: a worker stands still until these rows are there; it may overtake what was said before. */
  read: { numbers: ['id', 'urgent'], arrays: ['stripes'] },
  /**
   * Members of stripes as they are here. members: stripe, position, whether its words follow, version, then k versions
   * seen (parity). deltaHeads and deltaWords: differences that some parity may not contain yet, all of batches below
   * `batch` where they are the sender's own. tags: see `tags.ts`. `life`: the incarnation that asked. `urgent`: as asked.
   */
  stripes: {
    numbers: ['id', 'life', 'batch', 'urgent'],
    arrays: ['members', 'words', 'deltaHeads', 'deltaWords', 'tags'],
  },
  /** From a replacement: which of its rows were updated most, as the receiver's parity rows from `first` know. */
  hot: { numbers: ['first'], arrays: [] },
  /** Stripes with a row of the asker's and that row's version. `next`: where the next question begins; 0: told all. */
  ranked: { numbers: ['life', 'first', 'next'], arrays: ['stripes', 'versions'] },
  /**
   * Data rows from `first`. `changed` = 1: only those whose version is not what it was at the latest snapshot with
   * `mark` = 1.
   */
  snapshot: { numbers: ['id', 'first', 'count', 'changed', 'mark'], arrays: [] },
  /** Numbers, words and versions of data rows, and which of them were lost for good since the run began. */
  rowBits: { numbers: ['id'], arrays: ['rows', 'words', 'versions', 'lost'] },
  status: { numbers: ['id'], arrays: [] },
  counts: { numbers: ['id'], arrays: ['values'] },
  /** The last word on a connection that a shard does not want: why, by number (see refusals.ts). */
  refused: { numbers: ['reason'], arrays: [] },
  /**
   * To the owners of Redis nodes, on a connection for each server: this is its node (`posting`, see redis/ownerRun.ts), in this
   * epoch. `life` counts owners, `kind`: see `seatKinds`. `lost`: ids of its rows that were lost for good before.
   */
  own: { numbers: ['server', 'epoch', 'life', 'kind'], arrays: ['spec', 'posting', 'lost'] },
  /** The node of this epoch answers for the server. */
  owned: { numbers: ['epoch'], arrays: [] },
  /** It does not, or not any more: code, message and details of an error (text). */
  disowned: { numbers: ['epoch'], arrays: ['error'] },
  /** Ids of rows that could not be rebuilt and start over. */
  gaveUp: { numbers: [], arrays: ['rows'] },
  /** The run is over: its keys are taken away. `last` = 1: from its nodes, too, which are free then. */
  leave: { numbers: ['last'], arrays: [] },
  /** From a trainer that takes a run up: says what is here (`epoch` 0), or takes the part over from an earlier trainer. */
  attach: { numbers: ['epoch'], arrays: [] },
  /**
   * The part here: of which trainer, which server (`nobody`: no part) in which life; the highest node that spoke here, and the
   * latest push of the first trainer's node; the lives of all servers as this one knows them.
   */
  attached: { numbers: ['epoch', 'server', 'incarnation', 'highest', 'push'], arrays: ['spec', 'lives'] },
  /** Words `at` and after of a trainer's version of what it must have again, `total` in all: see keeping.ts. */
  keep: { numbers: ['id', 'version', 'at', 'total'], arrays: ['words'] },
  /** The newest version that is whole here; 0: none. */
  kept: { numbers: ['id', 'version'], arrays: [] },
  /** Asks for words of the newest whole version. */
  recall: { numbers: ['id', 'at', 'most'], arrays: [] },
  recalled: { numbers: ['id', 'version', 'total'], arrays: ['words'] },
} as const

/** In `attached`: the shard has no part in the run. */
export const nobody = 0xffff_ffff

type Schema = typeof schema
export type MessageType = keyof Schema

/** A message, by its type. */
export type Message = {
  [T in MessageType]: { readonly type: T } & {
    readonly [F in Schema[T]['numbers'][number]]: number
  } & { readonly [F in Schema[T]['arrays'][number]]: Uint32Array }
}[MessageType]

export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>

/**
 * Whether a message may overtake others between the same two servers. Data rows that are asked for urgently are lost: no
 * difference of theirs is under way from where they are read to, and versions tell what the others contain.
 */
export function mayOvertake(message: Message): boolean {
  return (message.type === 'read' || message.type === 'stripes') && message.urgent === 1
}

/** A node's answer to a message: where, and what. `late`: nobody waits for it, and it may leave with what is said there next. */
export type Send = (to: number, message: Message, how?: { readonly late: boolean }) => void

/** Words of a difference's head: stripe, position, base version, new version, worker, the worker's push. */
export const headWords = 6

/**
 * One difference of one data row: bits of version `base` XOR bits of version `version`. One with `base` = `version` changes
 * nothing: it demands that a parity row contain that version or be encoded anew.
 */
export interface Delta {
  readonly stripe: number
  readonly position: number
  readonly base: number
  readonly version: number
  readonly worker: number
  readonly push: number
  readonly words: Uint32Array
}

/** The worker of a difference that no push made. */
export const noWorker = 2 ** 20 - 1

/** Difference `i` of a batch. */
export function deltaAt(heads: Uint32Array, words: Uint32Array, i: number): Delta {
  const at = i * headWords
  const width = words.length / (heads.length / headWords)
  return {
    stripe: heads[at]!,
    position: heads[at + 1]!,
    base: heads[at + 2]!,
    version: heads[at + 3]!,
    worker: heads[at + 4]!,
    push: heads[at + 5]!,
    words: words.subarray(i * width, (i + 1) * width),
  }
}

/** Writes the head of difference `i` of a batch. */
export function writeHead(heads: Uint32Array, i: number, delta: Omit<Delta, 'words'>): void {
  const at = i * headWords
  heads[at] = delta.stripe
  heads[at + 1] = delta.position
  heads[at + 2] = delta.base
  heads[at + 3] = delta.version
  heads[at + 4] = delta.worker
  heads[at + 5] = delta.push
}

/** Packs differences of `width` words each. */
export function packDeltas(deltas: readonly Delta[], width: number): { heads: Uint32Array; words: Uint32Array } {
  const heads = new Uint32Array(deltas.length * headWords)
  const words = new Uint32Array(deltas.length * width)
  deltas.forEach((delta, i) => {
    writeHead(heads, i, delta)
    words.set(delta.words, i * width)
  })
  return { heads, words }
}
