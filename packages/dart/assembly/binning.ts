// Binning: float32 values to bytes by a search of two steps over a feature's upper edges, sixteen edges side by side in each.

/** Rows whose cells of one column are binned together: their features stay in the first-level cache. */
const BLOCK: u32 = 64
const NUMERIC: u32 = 0xffffffff

/** Words of a feature's kind. */
const KIND: usize = 20
/** Bytes of sixteen edges. */
const GROUP: usize = 64

/**
 * Bins rows start..end of a row-major matrix. `kinds` holds five words a feature: the address of its edges; the number of their
 * groups; its number of category levels, NUMERIC for none; its column of the binned rows; and, where it shares that, the address of the
 * bytes of its 256 bins, of which 0 is not written.
 *
 * Edges are ascending float32 in groups of sixteen, the last filled up with infinity. Before them stand sixteen more: the last edge of
 * each group but the last one, and infinity. A bin is 0 for NaN; else 1 + the number of edges below the value, one equal to an edge
 * belonging below it; or 1 + the category's code, 255 for one that was never seen.
 *
 * `shared`: some features share a column, and rows are cleared first. With `copy` the `columns` bytes of each row go there too, column
 * after column of `height` bytes.
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
  columns: u32,
  copy: usize,
  height: u32,
): void {
  const step = (<usize>features) << 2
  for (let first = start; first < end; first += BLOCK) {
    const last = min(first + BLOCK, end)
    if (shared) memory.fill(out + <usize>first * <usize>stride, 0, <usize>(last - first) * <usize>stride)
    for (let feature: usize = 0; feature < <usize>features; feature++) {
      const kind = kinds + feature * KIND
      const edges = <usize>load<u32>(kind)
      const groups = load<u32>(kind, 4)
      const levels = load<u32>(kind, 8)
      const bytes = <usize>load<u32>(kind, 16)
      let x = values + <usize>first * step + (feature << 2)
      let o = out + <usize>first * <usize>stride + <usize>load<u32>(kind, 12)
      let row = first
      if (bytes != 0) {
        for (; row < last; row++, x += step, o += stride) {
          const byte = load<u8>(bytes + <usize>binOf(load<f32>(x), edges, groups))
          if (byte != 0) store<u8>(o, byte)
        }
      } else if (levels != NUMERIC) {
        for (; row < last; row++, x += step, o += stride) store<u8>(o, categoryBin(load<f32>(x), levels))
      } else {
        for (; row < last; row++, x += step, o += stride) store<u8>(o, <u8>binOf(load<f32>(x), edges, groups))
      }
    }
    if (copy != 0) transpose(out, stride, first, last, columns, copy, height)
  }
}

/** Copies the bins of a few rows, `columns` a row, into column after column. */
@inline
function transpose(bins: usize, stride: u32, first: u32, last: u32, columns: u32, copy: usize, height: u32): void {
  for (let column: usize = 0; column < <usize>columns; column++) {
    const to = copy + column * <usize>height
    let cell = bins + <usize>first * <usize>stride + column
    for (let row = first; row < last; row++, cell += stride) store<u8>(to + <usize>row, load<u8>(cell))
  }
}

@inline
function categoryBin(x: f32, levels: u32): u8 {
  if (x != x) return 0
  return x >= 0 && x < <f32>levels ? <u8>(<u32>x + 1) : 255
}

@inline
function binOf(value: f32, edges: usize, groups: u32): u32 {
  const x = f32x4.splat(value)
  const group = groups > 1 ? below(edges, x) : 0
  const bin = (group << 4) + below(edges + GROUP + <usize>group * GROUP, x) + 1
  return value == value ? bin : 0
}

/** How many of sixteen floats are below x. */
@inline
function below(floats: usize, x: v128): u32 {
  const a = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(floats), x), f32x4.lt(v128.load(floats, 16), x))
  const b = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(floats, 32), x), f32x4.lt(v128.load(floats, 48), x))
  return popcnt<u32>(i8x16.bitmask(i8x16.narrow_i16x8_s(a, b)))
}
