// Binning: float32 values to bytes by binary search over a feature's upper edges.

/**
 * out[row * stride] = bin of values[row * step] for rows start..end: 0 for NaN, else 1 + the number of edges below the
 * value. `edges` holds `count` ascending float32 edges; a value equal to an edge belongs below it. `step` in elements.
 */
export function binColumn(values: usize, step: u32, start: u32, end: u32, edges: usize, count: u32, out: usize, stride: u32): void {
  for (let row = start; row < end; row++) {
    const x = load<f32>(values + ((<usize>row * <usize>step) << 2))
    let bin: u32 = 0
    if (x == x) {
      let base = edges
      let length = count
      // Branchless search: after it, base points behind the last edge below x.
      while (length > 1) {
        const half = length >> 1
        base = load<f32>(base + ((<usize>half - 1) << 2)) < x ? base + ((<usize>half) << 2) : base
        length -= half
      }
      let below = <u32>((base - edges) >> 2)
      if (length == 1 && load<f32>(base) < x) below++
      bin = below + 1
    }
    store<u8>(out + <usize>row * <usize>stride, <u8>bin)
  }
}

/** Bits as an unsigned integer that sorts like the float: negatives reversed below positives. */
@inline
function sortable(bits: u32): u32 {
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000)
}

/**
 * Copies the values of one column that are not NaN and sorts them ascending: radix sort, three digits of 11 bits.
 * `a` and `b` hold `rows` words each, `counts` 3 * 2048 words, zeroed. `step` in elements. Returns how many there are; they
 * end up, as float32, in `b`.
 */
export function sortColumn(values: usize, step: u32, rows: u32, a: usize, b: usize, counts: usize): u32 {
  let n: u32 = 0
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
  return n
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
