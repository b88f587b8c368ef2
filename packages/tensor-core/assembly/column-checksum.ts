// The predicted side of column checks: (e^T A) B, from the column sums of A, read once more from packed weights.
import { high, low, sumShift } from './arithmetic'
import { blockSteps, panelColumns } from './fields'
import { panelAddress } from './pack-weights'

/** Columns of panels [panel0, panel1): `sums` is [k] (and zeros up to whole steps), `to` is [panels * columns]. */
export function expectColumns<T>(
  b: usize,
  panels: i32,
  steps: i32,
  sums: usize,
  to: usize,
  panel0: i32,
  panel1: i32,
): void {
  for (let panel = panel0; panel < panel1; panel++) {
    const out = to + (<usize>(panel * panelColumns) << sumShift<T>())
    memory.fill(out, 0, <usize>panelColumns << sumShift<T>())
    for (let block = 0; block < steps; block += blockSteps) {
      const own = min(blockSteps, steps - block)
      const from = panelAddress<T>(b, panels, steps, panel, block)
      const own8 = sums + (<usize>block << 3)
      if (isFloat<T>())
        for (let j: usize = 0; j < <usize>panelColumns; j += 8) addFloats<T>(out + (j << 3), from + (j << 2), own8, own)
      else addPairs<T>(out, from, own8, own)
    }
  }
}

/** Eight columns of a block, in registers. */
// @ts-ignore: decorator
@inline
function addFloats<T>(out: usize, from: usize, sums: usize, steps: i32): void {
  let s0 = v128.load(out)
  let s1 = v128.load(out, 16)
  let s2 = v128.load(out, 32)
  let s3 = v128.load(out, 48)
  const end = sums + (<usize>steps << 3)
  for (; sums < end; sums += 8) {
    const x = v128.load64_splat(sums)
    const p = v128.load(from)
    const q = v128.load(from, 16)
    s0 = f64x2.add(s0, f64x2.mul(x, low(p)))
    s1 = f64x2.add(s1, f64x2.mul(x, high(p)))
    s2 = f64x2.add(s2, f64x2.mul(x, low(q)))
    s3 = f64x2.add(s3, f64x2.mul(x, high(q)))
    from += panelColumns << 2
  }
  v128.store(out, s0)
  v128.store(out, s1, 16)
  v128.store(out, s2, 32)
  v128.store(out, s3, 48)
}

// @ts-ignore: decorator
@inline
function addPairs<T>(out: usize, from: usize, sums: usize, steps: i32): void {
  for (let s = 0; s < steps; s++) {
    const first = load<i32>(sums)
    const second = load<i32>(sums, 4)
    for (let j = 0; j < panelColumns; j++) {
      const at = out + (j << 2)
      const b0: i32 = load<i16>(from + (j << 2))
      const b1: i32 = load<i16>(from + (j << 2) + 2)
      store<i32>(at, load<i32>(at) + first * b0 + second * b1)
    }
    sums += 8
    from += panelColumns << 2
  }
}
