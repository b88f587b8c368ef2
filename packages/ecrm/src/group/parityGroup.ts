// The codes and versions on plain arrays: for state that is not embedding rows.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import { createCode } from '../codes/code.ts'
import { checkGroupNames } from '../knownOptions.ts'

/** A typed array whose elements are numbers. */
export type GroupBuffer = Exclude<ArrayBufferView, DataView> & { readonly length: number }

export interface ParityGroupOptions {
  /** Buffers a stripe; default all of them. */
  readonly k?: number
  /** Buffers of a stripe that may be lost at once; default 1. Above 2, k + r may be 256 at most. */
  readonly r?: number
}

export interface ParityGroup {
  /** Bytes of parity. */
  readonly parityBytes: number
  /** Updates of each buffer. */
  readonly versions: readonly number[]
  /**
   * Changes a buffer and its parity together: call it instead of writing to the buffer.
   *
   * @param change - writes to the buffer, and has written when it returns; when it throws, what it wrote is put back
   * @param range - the elements that change; default all. What is written outside it is not protected, nor put back; a scrub finds
   * it. Cost: two passes over the range, and one a parity
   * @throws FtError `INVALID_ARGUMENT` when `change` returns a promise: what it wrote so far is put back
   */
  update(index: number, change: (buffer: GroupBuffer) => unknown, range?: { start: number; end: number }): void
  /** Says that a buffer's content is gone; it may not be updated until it is recovered. */
  lose(index: number): void
  /**
   * Rebuilds what was lost, bit for bit, into the same buffers.
   *
   * @returns indices that could not be: more than r of a stripe
   */
  recover(): number[]
  /** Indices of the stripes whose parity does not fit its buffers: something wrote past `update`, or a bit flipped. */
  scrub(): number[]
}

/**
 * Protects typed arrays of any element type and length: dense weights, optimizer state, caches.
 *
 * The buffers stay the caller's own; parity is a copy of the largest buffer of a stripe, r times. Where the buffers live is the
 * caller's business: parity protects against the loss of a buffer only when it is kept elsewhere.
 *
 * @throws FtError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const weights = [new Float32Array(100), new Float64Array(10), new Uint8Array(7)]
 * const group = createParityGroup(weights, { k: 3, r: 1 })
 * group.update(1, (buffer) => buffer.fill(Math.PI))
 * weights[1].fill(0)
 * group.lose(1)
 * console.log(group.recover()) // => []
 * console.log(weights[1][3]) // => 3.141592653589793
 * ```
 */
export function createParityGroup(buffers: readonly GroupBuffer[], options: ParityGroupOptions = {}): ParityGroup {
  const where = 'createParityGroup'
  checkGroupNames(options)
  if (buffers.length === 0 || buffers.some((one) => !ArrayBuffer.isView(one) || one instanceof DataView))
    throw invalidArgument({ where, argument: 'buffers' }, 'typed arrays, at least one', buffers)
  checkApart(buffers)
  const { k = buffers.length, r = 1 } = options
  const code = createCode({ k, r })
  const views = buffers.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength))
  const versions = buffers.map(() => 0)
  const lost = new Set<number>()
  const stripes = Array.from({ length: Math.ceil(buffers.length / k) }, (_, stripe) => {
    const members = views.slice(stripe * k, (stripe + 1) * k)
    const words = Math.ceil(Math.max(...members.map(({ length }) => length)) / 4)
    return { words, parity: Array.from({ length: r }, () => new Uint32Array(words)) }
  })

  /** Bytes `from` to `to` of a buffer as words, zeros behind its end. */
  function wordsOf(index: number, from = 0, to = stripes[Math.floor(index / k)]!.words * 4): Uint32Array {
    const out = new Uint32Array((to - from) / 4)
    new Uint8Array(out.buffer).set(views[index]!.subarray(from, to))
    return out
  }

  views.forEach((_, index) => {
    const { parity } = stripes[Math.floor(index / k)]!
    parity.forEach((sum, j) => code.accumulate(sum, wordsOf(index), { parity: j, position: index % k }))
  })
  const check = (index: number, what: string): void =>
    assertInteger(index, { where: what, argument: 'index', min: 0, max: buffers.length - 1 })

  /** The members of a stripe with what is left of its parity. */
  function unitsOf(stripe: number): (Uint32Array | undefined)[] {
    const { words, parity } = stripes[stripe]!
    const data = Array.from({ length: k }, (_, i) => {
      const index = stripe * k + i
      if (index >= buffers.length) return new Uint32Array(words)
      return lost.has(index) ? undefined : wordsOf(index)
    })
    return [...data, ...parity]
  }

  return {
    parityBytes: stripes.reduce((sum, { words }) => sum + words * 4 * r, 0),
    versions,
    update(index, change, range) {
      check(index, 'update')
      if (lost.has(index)) {
        throw new FtError('INVALID_ARGUMENT', `update: buffer ${index} is lost; call recover first`, { index })
      }
      const buffer = buffers[index]!
      const size = buffer.byteLength / buffer.length || 1
      const { start = 0, end = buffer.length } = range ?? {}
      assertInteger(start, { where: 'update', argument: 'range.start', min: 0, max: buffer.length })
      assertInteger(end, { where: 'update', argument: 'range.end', min: start, max: buffer.length })
      const [from, to] = [Math.floor((start * size) / 4) * 4, Math.ceil((end * size) / 4) * 4]
      const difference = wordsOf(index, from, to)
      try {
        const returned: unknown = change(buffer)
        if (isPromise(returned)) {
          // Its failure is nobody's any more.
          returned.then(undefined, () => undefined)
          throw new FtError(
            'INVALID_ARGUMENT',
            'update: `change` must have written when it returns, got a promise; what it wrote was put back. Compute first, then write in one go',
            { index },
          )
        }
      } catch (error) {
        views[index]!.subarray(from, to).set(
          new Uint8Array(difference.buffer, 0, Math.min(to, views[index]!.length) - from),
        )
        throw error
      }
      const now = wordsOf(index, from, to)
      for (let i = 0; i < now.length; i++) difference[i]! ^= now[i]!
      stripes[Math.floor(index / k)]!.parity.forEach((sum, j) =>
        code.accumulate(sum.subarray(from / 4, to / 4), difference, { parity: j, position: index % k }),
      )
      versions[index]!++
    },
    lose(index) {
      check(index, 'lose')
      lost.add(index)
    },
    recover() {
      for (let stripe = 0; stripe < stripes.length; stripe++) {
        const gone = [...lost].filter((index) => Math.floor(index / k) === stripe)
        if (gone.length === 0 || gone.length > r) continue
        const units = unitsOf(stripe)
        for (const index of gone) {
          const words = code.reconstruct(units, index % k)
          views[index]!.set(new Uint8Array(words.buffer, 0, views[index]!.length))
        }
        for (const index of gone) lost.delete(index)
      }
      return [...lost].sort((a, b) => a - b)
    },
    scrub() {
      return stripes.flatMap(({ words, parity }, stripe) => {
        const units = unitsOf(stripe)
        if (units.includes(undefined)) return [stripe]
        const fits = parity.every((kept, j) => {
          const sum = new Uint32Array(words)
          for (let i = 0; i < k; i++) code.accumulate(sum, units[i]!, { parity: j, position: i })
          return sum.every((word, i) => word === kept[i])
        })
        return fits ? [] : [stripe]
      })
    },
  }
}

/** One byte in two buffers would be two members of a code that are lost and change together. */
function checkApart(buffers: readonly GroupBuffer[]): void {
  const placed = buffers
    .map((one, index) => ({ index, buffer: one.buffer, start: one.byteOffset, end: one.byteOffset + one.byteLength }))
    .filter(({ start, end }) => end > start)
    .sort((a, b) => a.start - b.start)
  const reached = new Map<ArrayBufferLike, (typeof placed)[number]>()
  for (const one of placed) {
    const before = reached.get(one.buffer)
    if (before !== undefined && one.start < before.end) {
      throw new FtError(
        'INVALID_ARGUMENT',
        `createParityGroup: \`buffers\` ${before.index} and ${one.index} share memory; give each its own`,
        { first: before.index, second: one.index },
      )
    }
    if (before === undefined || one.end > before.end) reached.set(one.buffer, one)
  }
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | undefined | null)?.then === 'function'
