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

/**
 * Applies gradients of d values to `count` rows of `bytes`.
 *
 * @param places - where the difference of each row goes, bits before XOR bits after: its number among the rows in `out`
 * @param optimizer - its place among `optimizerNames` of src/shard/optimizers.ts, whose parameters are `rate` and what follows
 */
export function updateRows(
  count: u32,
  locals: usize,
  rows: usize,
  bytes: usize,
  d: u32,
  gradients: usize,
  places: usize,
  out: usize,
  optimizer: u32,
  rate: f64,
  second: f64,
  third: f64,
  fourth: f64,
): void {
  const size = (<usize>d) << 2
  for (let i: u32 = 0; i < count; i++) {
    warm(i, count, locals, rows, bytes)
    const row = rows + <usize>load<u32>(locals) * bytes
    const place = load<u32>(places)
    const difference = out + <usize>place * bytes
    if (place != nowhere) copy(difference, row, bytes)
    if (optimizer == 0) sgd(row, gradients, size, rate)
    else if (optimizer == 1) momentum(row, gradients, size, rate, second)
    else if (optimizer == 2) adagrad(row, gradients, size, rate, second)
    else if (optimizer == 3) rowwiseAdagrad(row, gradients, size, rate, second)
    else adam(row, gradients, size, rate, second, third, fourth)
    if (place != nowhere) add(difference, row, bytes)
    locals += 4
    places += 4
    gradients += size
  }
}

// One gradient and one row: `size` bytes of values, then the row's state.

function sgd(row: usize, gradient: usize, size: usize, rate: f64): void {
  for (let j: usize = 0; j < size; j += 4)
    store<f32>(row + j, <f32>(<f64>load<f32>(row + j) - rate * <f64>load<f32>(gradient + j)))
}

function momentum(row: usize, gradient: usize, size: usize, rate: f64, keep: f64): void {
  for (let j: usize = 0; j < size; j += 4) {
    const at = row + j
    const speed = <f32>(keep * <f64>load<f32>(at + size) + <f64>load<f32>(gradient + j))
    store<f32>(at + size, speed)
    store<f32>(at, <f32>(<f64>load<f32>(at) - rate * <f64>speed))
  }
}

function adagrad(row: usize, gradient: usize, size: usize, rate: f64, epsilon: f64): void {
  const rates = f64x2.splat(rate)
  const epsilons = f64x2.splat(epsilon)
  const whole = size & ~7
  for (let j: usize = 0; j < whole; j += 8) {
    const at = row + j
    const g = f64x2.promote_low_f32x4(v128.load64_zero(gradient + j))
    const squares = f64x2.add(f64x2.promote_low_f32x4(v128.load64_zero(at + size)), f64x2.mul(g, g))
    const sums = f32x4.demote_f64x2_zero(squares)
    v128.store64_lane(at + size, sums, 0)
    const root = f64x2.add(f64x2.sqrt(f64x2.promote_low_f32x4(sums)), epsilons)
    const value = f64x2.promote_low_f32x4(v128.load64_zero(at))
    v128.store64_lane(at, f32x4.demote_f64x2_zero(f64x2.sub(value, f64x2.div(f64x2.mul(rates, g), root))), 0)
  }
  for (let j: usize = whole; j < size; j += 4) {
    const at = row + j
    const g = <f64>load<f32>(gradient + j)
    const sum = <f32>(<f64>load<f32>(at + size) + g * g)
    store<f32>(at + size, sum)
    store<f32>(at, <f32>(<f64>load<f32>(at) - (rate * g) / (Math.sqrt(<f64>sum) + epsilon)))
  }
}

function rowwiseAdagrad(row: usize, gradient: usize, size: usize, rate: f64, epsilon: f64): void {
  let squares: f64 = 0
  for (let j: usize = 0; j < size; j += 4) {
    const g = <f64>load<f32>(gradient + j)
    squares += g * g
  }
  const sum = <f32>(<f64>load<f32>(row + size) + squares / <f64>(size >> 2))
  store<f32>(row + size, sum)
  const step = rate / (Math.sqrt(<f64>sum) + epsilon)
  for (let j: usize = 0; j < size; j += 4)
    store<f32>(row + j, <f32>(<f64>load<f32>(row + j) - step * <f64>load<f32>(gradient + j)))
}

function adam(row: usize, gradient: usize, size: usize, rate: f64, beta1: f64, beta2: f64, epsilon: f64): void {
  const moments = row + size
  const squares = moments + size
  const count = squares + size
  const step = <f64>load<f32>(count) + 1
  store<f32>(count, <f32>step)
  const correct1 = 1 - power(beta1, step)
  const correct2 = 1 - power(beta2, step)
  for (let j: usize = 0; j < size; j += 4) {
    const g = <f64>load<f32>(gradient + j)
    const first = <f32>(beta1 * <f64>load<f32>(moments + j) + (1 - beta1) * g)
    const second = <f32>(beta2 * <f64>load<f32>(squares + j) + (1 - beta2) * g * g)
    store<f32>(moments + j, first)
    store<f32>(squares + j, second)
    const down = (rate * (<f64>first / correct1)) / (Math.sqrt(<f64>second / correct2) + epsilon)
    store<f32>(row + j, <f32>(<f64>load<f32>(row + j) - down))
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
