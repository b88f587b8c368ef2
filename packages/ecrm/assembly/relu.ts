// The gradient of a layer's ReLU and of its bias, in one pass over the gradient of its output.

/**
 * Writes the gradient where the output is not 0, else 0, and the sums of its columns: float64 sums, row after row, as float32.
 *
 * @param sums - 8 bytes a column; the first 4 a column are the result
 */
export function reluBackward(rows: u32, columns: u32, gradient: usize, output: usize, masked: usize, sums: usize): void {
  const bytes = (<usize>columns) << 2
  const whole = bytes & ~15
  memory.fill(sums, 0, bytes << 1)
  const zero = f32x4.splat(0)
  for (let row: u32 = 0; row < rows; row++) {
    for (let j: usize = 0; j < whole; j += 16) {
      const g = v128.and(v128.load(gradient + j), f32x4.ne(v128.load(output + j), zero))
      v128.store(masked + j, g)
      const to = sums + (j << 1)
      v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(g)))
      const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(g, g, 1, 0))
      v128.store(to, f64x2.add(v128.load(to, 16), high), 16)
    }
    for (let j: usize = whole; j < bytes; j += 4) {
      const g: f32 = load<f32>(output + j) == 0 ? 0 : load<f32>(gradient + j)
      store<f32>(masked + j, g)
      const to = sums + (j << 1)
      store<f64>(to, load<f64>(to) + <f64>g)
    }
    gradient += bytes
    output += bytes
    masked += bytes
  }
  for (let j: usize = 0; j < bytes; j += 4) store<f32>(sums + j, <f32>load<f64>(sums + (j << 1)))
}
