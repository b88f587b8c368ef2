// Rows of a shard where they lie: read, changed by an optimizer, added to. Arithmetic is that of src/shard/optimizers.ts, bit for bit:
// float64, rounded to float32 where a row or its state is written, one operation after the other.

/** No place: the difference of this row is not wanted, or nothing is added to it. */
const nowhere: u32 = 0xffff_ffff

function copy(to: usize, from: usize, bytes: usize): void {
  const whole = bytes & ~15
  for (let j: usize = 0; j < whole; j += 16) v128.store(to + j, v128.load(from + j))
  for (let j: usize = whole; j < bytes; j += 4) store<u32>(to + j, load<u32>(from + j))
}

function add(to: usize, from: usize, bytes: usize): void {
  const whole = bytes & ~15
  for (let j: usize = 0; j < whole; j += 16) v128.store(to + j, v128.xor(v128.load(to + j), v128.load(from + j)))
  for (let j: usize = whole; j < bytes; j += 4) store<u32>(to + j, load<u32>(to + j) ^ load<u32>(from + j))
}

/** Rows whose lines are read at once. */
const atOnce: u32 = 32
/** What `warm` has read: kept, so that it is read. */
let seen: u32 = 0

/**
 * Reads a word of every line of the next rows, every `atOnce` of them: lines that are not in the cache come together here, where work on
 * row after row would wait for each. Adagrad on cold rows takes 90 ns a row so, and 200 without.
 */
function warm(i: u32, count: u32, locals: usize, rows: usize, bytes: usize): void {
  if (i % atOnce == 0) warmLines(min(count - i, atOnce), locals, rows, bytes)
}

function warmLines(count: u32, locals: usize, rows: usize, bytes: usize): void {
  let sum: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const local = load<u32>(locals)
    if (local != nowhere) {
      const row = rows + <usize>local * bytes
      for (let j: usize = 0; j < bytes; j += 64) sum ^= load<u32>(row + j)
    }
    locals += 4
  }
  seen ^= sum
}

/**
 * Reads the first `bytes` of `count` rows, one after the other.
 *
 * @param stride - bytes of a row
 */
export function gatherRows(count: u32, locals: usize, rows: usize, stride: usize, bytes: usize, out: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    copy(out, rows + <usize>load<u32>(locals) * stride, bytes)
    locals += 4
    out += bytes
  }
}

/** Adds words, in order, to `count` rows of `bytes`: their bits XOR. */
export function addRows(count: u32, locals: usize, rows: usize, bytes: usize, from: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const local = load<u32>(locals)
    if (local != nowhere) add(rows + <usize>local * bytes, from, bytes)
    locals += 4
    from += bytes
  }
}

// Optimizers: `count` gradients of d values, each for the row that `locals` names. Where the difference of a row goes, bits before XOR
// bits after, `places` says: its number among the rows in `out`.

function before(out: usize, place: u32, row: usize, bytes: usize): void {
  if (place != nowhere) copy(out + <usize>place * bytes, row, bytes)
}

function after(out: usize, place: u32, row: usize, bytes: usize): void {
  if (place != nowhere) add(out + <usize>place * bytes, row, bytes)
}

export function sgd(
  count: u32,
  locals: usize,
  rows: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  rate: f64,
): void {
  const bytes = (<usize>d) << 2
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    before(out, place, row, bytes)
    for (let j: usize = 0; j < bytes; j += 4)
      store<f32>(row + j, <f32>(<f64>load<f32>(row + j) - rate * <f64>load<f32>(gradients + j)))
    after(out, place, row, bytes)
    locals += 4
    places += 4
    gradients += bytes
  }
}

export function momentum(
  count: u32,
  locals: usize,
  rows: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  rate: f64,
  keep: f64,
): void {
  const half = (<usize>d) << 2
  const bytes = half << 1
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    before(out, place, row, bytes)
    for (let j: usize = 0; j < half; j += 4) {
      const at = row + j
      const speed = <f32>(keep * <f64>load<f32>(at + half) + <f64>load<f32>(gradients + j))
      store<f32>(at + half, speed)
      store<f32>(at, <f32>(<f64>load<f32>(at) - rate * <f64>speed))
    }
    after(out, place, row, bytes)
    locals += 4
    places += 4
    gradients += half
  }
}

export function adagrad(
  count: u32,
  locals: usize,
  rows: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  rate: f64,
  epsilon: f64,
): void {
  const half = (<usize>d) << 2
  const bytes = half << 1
  const whole = half & ~7
  const rates = f64x2.splat(rate)
  const epsilons = f64x2.splat(epsilon)
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    before(out, place, row, bytes)
    for (let j: usize = 0; j < whole; j += 8) {
      const at = row + j
      const g = f64x2.promote_low_f32x4(v128.load64_zero(gradients + j))
      const squares = f64x2.add(f64x2.promote_low_f32x4(v128.load64_zero(at + half)), f64x2.mul(g, g))
      const sums = f32x4.demote_f64x2_zero(squares)
      v128.store64_lane(at + half, sums, 0)
      const root = f64x2.add(f64x2.sqrt(f64x2.promote_low_f32x4(sums)), epsilons)
      const value = f64x2.promote_low_f32x4(v128.load64_zero(at))
      v128.store64_lane(at, f32x4.demote_f64x2_zero(f64x2.sub(value, f64x2.div(f64x2.mul(rates, g), root))), 0)
    }
    for (let j: usize = whole; j < half; j += 4) {
      const at = row + j
      const g = <f64>load<f32>(gradients + j)
      const sum = <f32>(<f64>load<f32>(at + half) + g * g)
      store<f32>(at + half, sum)
      store<f32>(at, <f32>(<f64>load<f32>(at) - (rate * g) / (Math.sqrt(<f64>sum) + epsilon)))
    }
    after(out, place, row, bytes)
    locals += 4
    places += 4
    gradients += half
  }
}

export function rowwiseAdagrad(
  count: u32,
  locals: usize,
  rows: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  rate: f64,
  epsilon: f64,
): void {
  const values = (<usize>d) << 2
  const bytes = values + 4
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    before(out, place, row, bytes)
    let squares: f64 = 0
    for (let j: usize = 0; j < values; j += 4) {
      const g = <f64>load<f32>(gradients + j)
      squares += g * g
    }
    const sum = <f32>(<f64>load<f32>(row + values) + squares / <f64>d)
    store<f32>(row + values, sum)
    const step = rate / (Math.sqrt(<f64>sum) + epsilon)
    for (let j: usize = 0; j < values; j += 4)
      store<f32>(row + j, <f32>(<f64>load<f32>(row + j) - step * <f64>load<f32>(gradients + j)))
    after(out, place, row, bytes)
    locals += 4
    places += 4
    gradients += values
  }
}

/** By repeated squaring, as optimizers.ts has it. */
function power(base: f64, exponent: f64): f64 {
  let out: f64 = 1
  for (let left = <u64>exponent; left > 0; left >>= 1) {
    if (left & 1) out *= base
    base *= base
  }
  return out
}

export function adam(
  count: u32,
  locals: usize,
  rows: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  rate: f64,
  beta1: f64,
  beta2: f64,
  epsilon: f64,
): void {
  const part = (<usize>d) << 2
  const third = part + part + part
  const bytes = third + 4
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    before(out, place, row, bytes)
    const step = <f64>load<f32>(row + third) + 1
    store<f32>(row + third, <f32>step)
    const correct1 = 1 - power(beta1, step)
    const correct2 = 1 - power(beta2, step)
    for (let j: usize = 0; j < part; j += 4) {
      const at = row + j
      const g = <f64>load<f32>(gradients + j)
      const first = <f32>(beta1 * <f64>load<f32>(at + part) + (1 - beta1) * g)
      const second = <f32>(beta2 * <f64>load<f32>(at + part + part) + (1 - beta2) * g * g)
      store<f32>(at + part, first)
      store<f32>(at + part + part, second)
      const down = (rate * (<f64>first / correct1)) / (Math.sqrt(<f64>second / correct2) + epsilon)
      store<f32>(at, <f32>(<f64>load<f32>(at) - down))
    }
    after(out, place, row, bytes)
    locals += 4
    places += 4
    gradients += part
  }
}
