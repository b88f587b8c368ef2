// Edges of bins from a sample of each column: sorted by radix, then cut where bins hold about equally many rows.

/** Edges that a column may have, and the stride of the table they are written to. */
const EDGES: usize = 256

/**
 * Edges of the columns first..last of `numbers` (u32). Column c is the `rows` floats from values + 4 c rows; its edges go to
 * edges + 1024 c, ascending, and their number to found + 4 c. `a` and `b` hold `rows` words each, `counts` 3 * 2048 words, all of this
 * thread's own.
 */
export function findEdges(
  values: usize,
  rows: u32,
  numbers: usize,
  first: u32,
  last: u32,
  maxBins: u32,
  a: usize,
  b: usize,
  counts: usize,
  edges: usize,
  found: usize,
): void {
  for (let i = first; i < last; i++) {
    const column = <usize>load<u32>(numbers + ((<usize>i) << 2))
    const n = sortColumn(values + ((column * <usize>rows) << 2), rows, a, b, counts)
    const out = edges + ((column * EDGES) << 2)
    let count = eachValue(b, n, maxBins, out)
    if (count == MORE) count = equalCounts(b, n, maxBins, out)
    store<u32>(found + (column << 2), count)
  }
}

/** In place of a number of edges: there are more values than bins. */
const MORE: u32 = 0xffffffff

@inline
function at(sorted: usize, i: u32): f32 {
  return load<f32>(sorted + ((<usize>i) << 2))
}

/** An edge before each value but the first; MORE when that makes too many bins. */
function eachValue(sorted: usize, n: u32, maxBins: u32, out: usize): u32 {
  let count: u32 = 0
  for (let i: u32 = 1; i < n; i++) {
    const low = at(sorted, i - 1)
    const high = at(sorted, i)
    if (low == high) continue
    if (count + 1 == maxBins) return MORE
    store<f32>(out + ((<usize>(count++)) << 2), between(low, high))
  }
  return count
}

/**
 * Edges by greedy equal counts: a value that alone fills a bin keeps it, the rest share what is left. A bin of `target` rows ends
 * beside the value that its last row would have: before it, when the value would overfill the bin by more than it lacks without, else
 * after it. No value that ends sooner comes into question.
 */
function equalCounts(sorted: usize, n: u32, maxBins: u32, out: usize): u32 {
  let count: u32 = 0
  let since: u32 = 0
  for (let bins = maxBins; bins > 1; bins--) {
    const target = <f64>(n - since) / <f64>bins
    const middle = since + <u32>target
    const value = at(sorted, middle)
    let start = middle
    while (start > since && at(sorted, start - 1) == value) start--
    let end = middle + 1
    while (end < n && at(sorted, end) == value) end++
    const filled = <f64>(start - since)
    // A bin holds one value at least.
    const before = start > since && filled + <f64>(end - start) - target > target - filled
    const cut = before ? start : end
    if (cut == n) break
    store<f32>(out + ((<usize>(count++)) << 2), between(at(sorted, cut - 1), at(sorted, cut)))
    since = cut
  }
  return count
}

/** A float32 e with low <= e < high, near the middle: values on the edge of a cut stay on their side. */
function between(low: f32, high: f32): f32 {
  const middle = <f32>(<f64>low / 2 + <f64>high / 2)
  return middle >= high || middle < low ? low : middle
}

/** Bits as an unsigned integer that sorts like the float: negatives reversed below positives. */
@inline
function sortable(bits: u32): u32 {
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000)
}

/**
 * Sorts the values of one column that are not NaN ascending, by radix, three digits of 11 bits. They end up, as float32, in `b`; returns
 * how many they are.
 */
function sortColumn(values: usize, rows: u32, a: usize, b: usize, counts: usize): u32 {
  let n: u32 = 0
  memory.fill(counts, 0, 3 * 8192)
  for (let row: u32 = 0; row < rows; row++) {
    const from = values + ((<usize>row) << 2)
    const x = load<f32>(from)
    if (x != x) continue
    // -0 and 0 are one value.
    const key = x == 0 ? 0x80000000 : sortable(load<u32>(from))
    store<u32>(a + ((<usize>n) << 2), key)
    bump(counts, key & 2047)
    bump(counts + 8192, (key >> 11) & 2047)
    bump(counts + 16384, key >> 22)
    n++
  }
  accumulate(counts)
  accumulate(counts + 8192)
  accumulate(counts + 16384)
  scatter(a, b, n, counts, 0)
  scatter(b, a, n, counts + 8192, 11)
  scatter(a, b, n, counts + 16384, 22)
  for (let i: usize = 0; i < <usize>n; i++) {
    const key = load<u32>(b + (i << 2))
    store<u32>(b + (i << 2), key & 0x80000000 ? key ^ 0x80000000 : ~key)
  }
  return n
}

@inline
function bump(counts: usize, digit: u32): void {
  const place = counts + ((<usize>digit) << 2)
  store<u32>(place, load<u32>(place) + 1)
}

/** Counts to starting places. */
function accumulate(counts: usize): void {
  let sum: u32 = 0
  for (let d: usize = 0; d < 8192; d += 4) {
    const count = load<u32>(counts + d)
    store<u32>(counts + d, sum)
    sum += count
  }
}

function scatter(from: usize, to: usize, n: u32, places: usize, shift: u32): void {
  for (let i: usize = 0; i < <usize>n; i++) {
    const key = load<u32>(from + (i << 2))
    const at = places + ((<usize>((key >> shift) & 2047)) << 2)
    const place = load<u32>(at)
    store<u32>(at, place + 1)
    store<u32>(to + ((<usize>place) << 2), key)
  }
}
