// Kernels of tree growing on binned rows. Every address is the caller's; nothing is allocated here, so any number of
// threads may run them on disjoint ranges. A row is a record of `stride` bytes: its gradient and hessian, 8 bytes, then its bins, one
// byte a cell; bin 0 is the missing value. What a histogram reads of a row thus lies together, and the lists of rows that nodes
// are parted into hold numbers only.
//
// A row's gradient and hessian are one 64-bit integer: gradient in the high half (signed), hessian in the low half
// (unsigned). Sums of them are exact in any order, which makes a model's bits independent of the number of threads.

/** Bytes of one feature's histogram: 256 bins of 8 bytes. */
const FEATURE_BYTES: usize = 2048

/**
 * Rows whose cells are asked for together before they are used. In a deep node rows lie far apart, and each is a miss of the cache:
 * side by side the misses wait for memory at the same time. A multiple of 4.
 */
const AHEAD: u32 = 32

/** Asks for the records of rows[start..end), `last` bytes long; the sum keeps the loads from being left out. */
@inline
function touch(rows: usize, start: u32, end: u32, records: usize, stride: u32, last: u32): u32 {
  let sum: u32 = 0
  for (let i = start; i < end; i++) {
    const record = records + <usize>load<u32>(rows + ((<usize>i) << 2)) * <usize>stride
    sum += <u32>load<u8>(record) + <u32>load<u8>(record + <usize>last)
  }
  return sum
}

/** Histogram of a node's rows: hist[feature][bin] = sum of gradients and hessians of rows[start..end). */
export function histogram(rows: usize, start: u32, end: u32, records: usize, stride: u32, features: u32, hist: usize): void {
  memory.fill(hist, 0, (<usize>features) << 11)
  const whole = features & ~3
  let touched: u32 = 0
  for (let i = start; i < end; i++) {
    if (((i - start) & (AHEAD - 1)) == 0) touched |= touch(rows, i, min(end, i + AHEAD), records, stride, features + 7)
    const record = records + <usize>load<u32>(rows + ((<usize>i) << 2)) * <usize>stride
    const sum = load<u64>(record)
    let cell = record + 8
    let at = hist
    let f: u32 = 0
    for (; f < whole; f += 4) {
      const four = load<u32>(cell)
      const a = at + ((<usize>(four & 255)) << 3)
      const b = at + ((<usize>((four >> 8) & 255)) << 3)
      const c = at + ((<usize>((four >> 16) & 255)) << 3)
      const d = at + ((<usize>(four >> 24)) << 3)
      store<u64>(a, load<u64>(a) + sum)
      store<u64>(b, load<u64>(b, FEATURE_BYTES) + sum, FEATURE_BYTES)
      store<u64>(c, load<u64>(c, FEATURE_BYTES * 2) + sum, FEATURE_BYTES * 2)
      store<u64>(d, load<u64>(d, FEATURE_BYTES * 3) + sum, FEATURE_BYTES * 3)
      cell += 4
      at += FEATURE_BYTES * 4
    }
    for (; f < features; f++) {
      const a = at + ((<usize>load<u8>(cell)) << 3)
      store<u64>(a, load<u64>(a) + sum)
      cell += 1
      at += FEATURE_BYTES
    }
  }
  // Never: sums of at most 2 x 32 bytes.
  if (touched == 0xffffffff) store<u64>(hist, 0)
}

/** Rows in each bin: counts[feature][bin], 256 32-bit counts a feature. */
export function countRows(rows: usize, start: u32, end: u32, bins: usize, stride: u32, features: u32, counts: usize): void {
  memory.fill(counts, 0, (<usize>features) << 10)
  for (let i = start; i < end; i++) {
    const cell = bins + <usize>load<u32>(rows + ((<usize>i) << 2)) * <usize>stride
    for (let f: u32 = 0; f < features; f++) {
      const at = counts + ((<usize>f) << 10) + ((<usize>load<u8>(cell + f)) << 2)
      store<u32>(at, load<u32>(at) + 1)
    }
  }
}

/** rows[i] = i. */
export function countUp(rows: usize, start: u32, end: u32): void {
  for (let i = start; i < end; i++) store<u32>(rows + ((<usize>i) << 2), i)
}

/**
 * Rows whose sides are found in one go, so that misses of the cache wait together, before the rows move. A row's side is kept where
 * its number in the spare list would stand: right rows move there no sooner than it was read.
 */
const GATHERED: u32 = 512

/**
 * Stable partition of rows[start..end): rows that go left stay in place from `start`, the others move to the spare list from
 * `start` on, and, when the range is a `whole` node's, back from there behind the others. Stores how many go left at `out`. A row goes
 * left when the bit of its bin is set in the 256-bit set at `set`; with set 0, when its bin is in [1, split], or 0 and `missingLeft`.
 * `column` is where the first row's bin stands, the next row's `step` bytes further.
 */
export function partition(
  rows: usize,
  start: u32,
  end: u32,
  column: usize,
  step: u32,
  split: u32,
  missingLeft: u32,
  set: usize,
  spareRows: usize,
  whole: u32,
  out: usize,
): void {
  let left = start
  let right = start
  // Bins are compared as bin - 1 in unsigned arithmetic, so that 0 is the largest: right unless missingLeft shifts it.
  const shift: u32 = missingLeft ? 0 : 1
  const limit: u32 = split - shift
  for (let first = start; first < end; first += GATHERED) {
    const last = min(end, first + GATHERED)
    if (set == 0) {
      for (let i = first; i < last; i++) {
        const bin = <u32>load<u8>(column + <usize>load<u32>(rows + ((<usize>i) << 2)) * <usize>step)
        store<u32>(spareRows + ((<usize>i) << 2), <u32>(bin - shift <= limit))
      }
    } else {
      for (let i = first; i < last; i++) {
        const bin = <u32>load<u8>(column + <usize>load<u32>(rows + ((<usize>i) << 2)) * <usize>step)
        store<u32>(spareRows + ((<usize>i) << 2), (load<u32>(set + ((bin >> 5) << 2)) >> (bin & 31)) & 1)
      }
    }
    const toLeft = sendRows(rows, spareRows, first, last, left, right)
    left += toLeft
    right += last - first - toLeft
  }
  if (whole) moveRows(rows + ((<usize>left) << 2), spareRows + ((<usize>start) << 2), right - start)
  store<u32>(out, left - start)
}

/**
 * Sends rows [first, last): those whose flag in `spareRows` is 1 to `left` of the rows, the others to `right` of the spare ones. Gives
 * how many went left.
 */
// @ts-ignore: decorator
@inline
function sendRows(rows: usize, spareRows: usize, first: u32, last: u32, left: u32, right: u32): u32 {
  const before = left
  for (let i = first; i < last; i++) {
    const row = load<u32>(rows + ((<usize>i) << 2))
    const goes = load<u32>(spareRows + ((<usize>i) << 2))
    store<u32>(rows + ((<usize>left) << 2), row)
    store<u32>(spareRows + ((<usize>right) << 2), row)
    left += goes
    right += goes ^ 1
  }
  return left - before
}

/** Copies `count` row numbers, from another list or within one. */
export function moveRows(to: usize, from: usize, count: u32): void {
  memory.copy(to, from, (<usize>count) << 2)
}

/** First position in rows[start..end), which ascends, that holds `row` or more. */
@inline
function lowerBound(rows: usize, start: u32, end: u32, row: u32): u32 {
  while (start < end) {
    const middle = (start + end) >> 1
    if (load<u32>(rows + ((<usize>middle) << 2)) < row) start = middle + 1
    else end = middle
  }
  return start
}

/**
 * ids[row] = leaf for the rows first..last of all leaves. `leaves` holds `count` pairs of 32-bit positions, start and end of
 * each leaf's rows. Threads take ranges of rows, not of leaves, so that they never write to one cache line.
 */
export function assignLeaves(rows: usize, leaves: usize, count: u32, first: u32, last: u32, ids: usize, wide: u32): void {
  for (let leaf: u32 = 0; leaf < count; leaf++) {
    const end = load<u32>(leaves + ((<usize>leaf) << 3), 4)
    for (let i = lowerBound(rows, load<u32>(leaves + ((<usize>leaf) << 3)), end, first); i < end; i++) {
      const row = load<u32>(rows + ((<usize>i) << 2))
      if (row >= last) break
      if (wide) store<u16>(ids + ((<usize>row) << 1), <u16>leaf)
      else store<u8>(ids + <usize>row, <u8>leaf)
    }
  }
}

/** scores[i] += values[ids[i]]: a tree's contribution from its leaf ids. */
export function gather8(ids: usize, values: usize, start: u32, end: u32, scores: usize): void {
  for (let i = start; i < end; i++) {
    const at = scores + ((<usize>i) << 3)
    store<f64>(at, load<f64>(at) + load<f64>(values + ((<usize>load<u8>(ids + i)) << 3)))
  }
}

export function gather16(ids: usize, values: usize, start: u32, end: u32, scores: usize): void {
  for (let i = start; i < end; i++) {
    const at = scores + ((<usize>i) << 3)
    store<f64>(at, load<f64>(at) + load<f64>(values + ((<usize>load<u16>(ids + ((<usize>i) << 1))) << 3)))
  }
}

/**
 * scores[i] += sum of four trees' values, in the trees' order: the bits of four passes of `gather8`, for one load and store of the
 * score. `trees` holds four pairs of 32-bit addresses, leaf ids and values.
 */
export function gather8x4(trees: usize, start: u32, end: u32, scores: usize): void {
  const ids0 = <usize>load<u32>(trees)
  const values0 = <usize>load<u32>(trees, 4)
  const ids1 = <usize>load<u32>(trees, 8)
  const values1 = <usize>load<u32>(trees, 12)
  const ids2 = <usize>load<u32>(trees, 16)
  const values2 = <usize>load<u32>(trees, 20)
  const ids3 = <usize>load<u32>(trees, 24)
  const values3 = <usize>load<u32>(trees, 28)
  for (let i = <usize>start; i < <usize>end; i++) {
    const at = scores + (i << 3)
    let score = load<f64>(at) + load<f64>(values0 + ((<usize>load<u8>(ids0 + i)) << 3))
    score += load<f64>(values1 + ((<usize>load<u8>(ids1 + i)) << 3))
    score += load<f64>(values2 + ((<usize>load<u8>(ids2 + i)) << 3))
    score += load<f64>(values3 + ((<usize>load<u8>(ids3 + i)) << 3))
    store<f64>(at, score)
  }
}

/** y = y + factor * x over doubles. */
export function axpy(y: usize, x: usize, factor: f64, start: u32, end: u32): void {
  for (let i = <usize>start; i < <usize>end; i++) {
    store<f64>(y + (i << 3), load<f64>(y + (i << 3)) + factor * load<f64>(x + (i << 3)))
  }
}

/**
 * Sums of gradient and hessian (float64 pairs) of runs first..last, each in order: `runs` holds pairs of 32-bit positions in
 * `rows`, `out` gets two doubles a run. Runs are cut without regard to threads, so that sums do not depend on their number.
 */
export function sumRuns(rows: usize, runs: usize, first: u32, last: u32, gradients: usize, hessians: usize, out: usize): void {
  for (let run = <usize>first; run < <usize>last; run++) {
    const end = load<u32>(runs + (run << 3), 4)
    let g: f64 = 0
    let h: f64 = 0
    for (let i = load<u32>(runs + (run << 3)); i < end; i++) {
      const row = (<usize>load<u32>(rows + ((<usize>i) << 2))) << 3
      g += load<f64>(gradients + row)
      h += load<f64>(hessians + row)
    }
    store<f64>(out + (run << 4), g)
    store<f64>(out + (run << 4), h, 8)
  }
}

/** Rows of a block of `magnitudes`. */
const BLOCK: u32 = 16384

/** Totals that choose the scales: sums of |gradient| and of hessian of blocks first..last of 16,384 rows, two doubles each. */
export function magnitudes(gradients: usize, hessians: usize, rows: u32, first: u32, last: u32, out: usize): void {
  for (let block = first; block < last; block++) {
    const end = <usize>min(rows, (block + 1) * BLOCK)
    let g: f64 = 0
    let h: f64 = 0
    for (let i = <usize>(block * BLOCK); i < end; i++) {
      g += abs(load<f64>(gradients + (i << 3)))
      h += load<f64>(hessians + (i << 3))
    }
    store<f64>(out + ((<usize>block) << 4), g)
    store<f64>(out + ((<usize>block) << 4), h, 8)
  }
}

/** Packs gradient * scaleG and hessian * scaleH of each of rows[start..end) into its record. */
export function quantize(
  rows: usize,
  start: u32,
  end: u32,
  gradients: usize,
  hessians: usize,
  scaleG: f64,
  scaleH: f64,
  records: usize,
  stride: u32,
): void {
  for (let i = start; i < end; i++) {
    const row = <usize>load<u32>(rows + ((<usize>i) << 2))
    const g = <i64>nearest(load<f64>(gradients + (row << 3)) * scaleG)
    const h = <u64>nearest(load<f64>(hessians + (row << 3)) * scaleH)
    store<u64>(records + row * <usize>stride, (<u64>g << 32) + h)
  }
}
