// Binning: float32 values to bytes by binary search over a feature's upper edges.

/** Rows whose cells of one column are binned together: their features stay in the first-level cache. */
const BLOCK: u32 = 64
const NUMERIC: u32 = 0xffffffff

/** Words of a feature's kind. */
const KIND: usize = 20

/**
 * Bins rows start..end of a row-major matrix. `kinds` holds five words a feature: address and number of its ascending
 * float32 edges, its number of category levels, NUMERIC for none, its column of the binned rows, and, where it shares that, the
 * address of the bytes of its 256 bins, of which 0 is not written. A bin is 0 for NaN; else 1 + the number of edges
 * below the value, one equal to an edge belonging below it; or 1 + the category's code, 255 for one that was never seen.
 * `shared`: some features share a column, and rows are cleared first.
 */
export function binRows(
  values: usize,
  features: u32,
  start: u32,
  end: u32,
  kinds: usize,
  out: usize,
  stride: u32,
  shared: u32,
): void {
  const step = (<usize>features) << 2
  for (let first = start; first < end; first += BLOCK) {
    const last = min(first + BLOCK, end)
    if (shared) memory.fill(out + <usize>first * <usize>stride, 0, <usize>(last - first) * <usize>stride)
    for (let feature: usize = 0; feature < <usize>features; feature++) {
      const kind = kinds + feature * KIND
      const edges = <usize>load<u32>(kind)
      const count = load<u32>(kind, 4)
      const levels = load<u32>(kind, 8)
      const bytes = <usize>load<u32>(kind, 16)
      let x = values + <usize>first * step + (feature << 2)
      let o = out + <usize>first * <usize>stride + <usize>load<u32>(kind, 12)
      let row = first
      if (bytes != 0) {
        for (; row < last; row++, x += step, o += stride) {
          const byte = load<u8>(bytes + <usize>binOf(load<f32>(x), edges, count))
          if (byte != 0) store<u8>(o, byte)
        }
        continue
      }
      if (levels != NUMERIC) {
        for (; row < last; row++, x += step, o += stride) store<u8>(o, categoryBin(load<f32>(x), levels))
        continue
      }
      for (; row + 4 <= last; row += 4, x += 4 * step, o += 4 * stride) {
        four(load<f32>(x), load<f32>(x + step), load<f32>(x + 2 * step), load<f32>(x + 3 * step), edges, count, o, stride)
      }
      for (; row < last; row++, x += step, o += stride) {
        const value = load<f32>(x)
        four(value, value, value, value, edges, count, o, 0)
      }
    }
  }
}

/** Copies the bins of rows start..end, `columns` a row, into column after column of `rows` bytes. */
export function transpose(bins: usize, stride: u32, start: u32, end: u32, columns: u32, out: usize, rows: u32): void {
  for (let first = start; first < end; first += BLOCK) {
    const last = min(first + BLOCK, end)
    for (let column: usize = 0; column < <usize>columns; column++) {
      const to = out + column * <usize>rows
      let cell = bins + <usize>first * <usize>stride + column
      for (let row = first; row < last; row++, cell += stride) store<u8>(to + <usize>row, load<u8>(cell))
    }
  }
}

@inline
function categoryBin(x: f32, levels: u32): u8 {
  if (x != x) return 0
  return x >= 0 && x < <f32>levels ? <u8>(<u32>x + 1) : 255
}

@inline
function binOf(x: f32, edges: usize, count: u32): u8 {
  let place = edges
  let length = <usize>count
  while (length > 1) {
    const half = length >> 1
    place = load<f32>(place + (half << 2) - 4) < x ? place + (half << 2) : place
    length -= half
  }
  return binAt(place, x, edges, count)
}

/** Four branchless searches side by side: each waits for its loads, and the others fill the time. */
@inline
function four(a: f32, b: f32, c: f32, d: f32, edges: usize, count: u32, out: usize, stride: u32): void {
  let pa = edges
  let pb = edges
  let pc = edges
  let pd = edges
  let length = <usize>count
  // After it, each points behind the last edge below its value, but for the last comparison.
  while (length > 1) {
    const half = length >> 1
    const probe = (half << 2) - 4
    const skip = half << 2
    pa = load<f32>(pa + probe) < a ? pa + skip : pa
    pb = load<f32>(pb + probe) < b ? pb + skip : pb
    pc = load<f32>(pc + probe) < c ? pc + skip : pc
    pd = load<f32>(pd + probe) < d ? pd + skip : pd
    length -= half
  }
  store<u8>(out, binAt(pa, a, edges, count))
  store<u8>(out + <usize>stride, binAt(pb, b, edges, count))
  store<u8>(out + 2 * <usize>stride, binAt(pc, c, edges, count))
  store<u8>(out + 3 * <usize>stride, binAt(pd, d, edges, count))
}

@inline
function binAt(place: usize, x: f32, edges: usize, count: u32): u8 {
  const below = <u32>((place - edges) >> 2) + (count > 0 ? <u32>(load<f32>(place) < x) : 0)
  return x == x ? <u8>(below + 1) : 0
}

/** Bits as an unsigned integer that sorts like the float: negatives reversed below positives. */
@inline
function sortable(bits: u32): u32 {
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000)
}

/**
 * Copies the values of one column that are not NaN and sorts them ascending: radix sort, three digits of 11 bits.
 * `a` and `b` hold `rows` words each, `counts` 3 * 2048 words. `step` in elements. They end up, as float32, in `b`, and how
 * many there are at `out`.
 */
export function sortColumn(values: usize, step: u32, rows: u32, a: usize, b: usize, counts: usize, out: usize): void {
  let n: u32 = 0
  memory.fill(counts, 0, 3 * 8192)
  for (let row: u32 = 0; row < rows; row++) {
    const at = values + ((<usize>row * <usize>step) << 2)
    const x = load<f32>(at)
    if (x != x) continue
    // -0 and 0 are one value.
    const key = x == 0 ? 0x80000000 : sortable(load<u32>(at))
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
  store<u32>(out, n)
}

@inline
function bump(counts: usize, digit: u32): void {
  const at = counts + ((<usize>digit) << 2)
  store<u32>(at, load<u32>(at) + 1)
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
