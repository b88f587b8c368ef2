// What one thread reads: the sum of a long array, in one stream and in four.
export function sum(from: usize, bytes: usize): f32 {
  let a = f32x4.splat(0)
  let b = a
  let c = a
  let d = a
  const end = from + bytes
  for (; from < end; from += 64) {
    a = f32x4.add(a, v128.load(from))
    b = f32x4.add(b, v128.load(from, 16))
    c = f32x4.add(c, v128.load(from, 32))
    d = f32x4.add(d, v128.load(from, 48))
  }
  a = f32x4.add(f32x4.add(a, b), f32x4.add(c, d))
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
}

/** The same in four streams, a quarter of the array each. */
export function sumStreams(from: usize, bytes: usize): f32 {
  let a = f32x4.splat(0)
  let b = a
  let c = a
  let d = a
  const quarter = bytes >> 2
  const end = from + quarter
  const p1 = quarter
  const p2 = 2 * quarter
  const p3 = 3 * quarter
  for (; from < end; from += 64) {
    a = f32x4.add(a, f32x4.add(v128.load(from), v128.load(from, 16)))
    a = f32x4.add(a, f32x4.add(v128.load(from, 32), v128.load(from, 48)))
    b = f32x4.add(b, f32x4.add(v128.load(from + p1), v128.load(from + p1, 16)))
    b = f32x4.add(b, f32x4.add(v128.load(from + p1, 32), v128.load(from + p1, 48)))
    c = f32x4.add(c, f32x4.add(v128.load(from + p2), v128.load(from + p2, 16)))
    c = f32x4.add(c, f32x4.add(v128.load(from + p2, 32), v128.load(from + p2, 48)))
    d = f32x4.add(d, f32x4.add(v128.load(from + p3), v128.load(from + p3, 16)))
    d = f32x4.add(d, f32x4.add(v128.load(from + p3, 32), v128.load(from + p3, 48)))
  }
  a = f32x4.add(f32x4.add(a, b), f32x4.add(c, d))
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
}
