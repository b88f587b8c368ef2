// The predicted side of column checks: (e^T A) B, from the column sums of A, read once more from packed weights.
import { high, low, sumShift, tileColumns } from './arithmetic'
import { blockSteps } from './fields'
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
    const out = to + (<usize>(panel * tileColumns<T>()) << sumShift<T>())
    memory.fill(out, 0, <usize>tileColumns<T>() << sumShift<T>())
    for (let block = 0; block < steps; block += blockSteps) {
      const own = min(blockSteps, steps - block)
      let from = panelAddress<T>(b, panels, steps, panel, block)
      for (let s = block; s < block + own; s++) {
        if (isFloat<T>()) addFloatStep(out, from, v128.load64_splat(sums + (<usize>s << 3)))
        else addPairStep<T>(out, from, load<i32>(sums + (<usize>s << 3)), load<i32>(sums + (<usize>s << 3), 4))
        from += tileColumns<T>() << 2
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function addFloatStep(out: usize, from: usize, sum: v128): void {
  for (let j = 0; j < tileColumns<f32>(); j += 4) {
    const b = v128.load(from + (j << 2))
    const at = out + (j << 3)
    v128.store(at, f64x2.add(v128.load(at), f64x2.mul(sum, low(b))))
    v128.store(at, f64x2.add(v128.load(at, 16), f64x2.mul(sum, high(b))), 16)
  }
}

// @ts-ignore: decorator
@inline
function addPairStep<T>(out: usize, from: usize, first: i32, second: i32): void {
  for (let j = 0; j < tileColumns<T>(); j++) {
    const at = out + (j << 2)
    const b0: i32 = load<i16>(from + (j << 2))
    const b1: i32 = load<i16>(from + (j << 2) + 2)
    store<i32>(at, load<i32>(at) + first * b0 + second * b1)
  }
}
