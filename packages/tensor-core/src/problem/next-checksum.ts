// Which output rows a following layer's checksum adds up. Rows are grouped into classes that count alike, so that an
// engine makes one sum per class (of every output channel) and the few class sums are combined afterwards.
import { shapeMismatch, type NextChecksum } from '@ft/core'
import { outputSize } from './axes.ts'
import type { Conv2dProblem } from './conv2d.ts'
import type { MatmulProblem } from './matmul.ts'

export interface NextChecksumPlan {
  /** Class of a row of one product (batch item or all images): `[m]`, or one class for all when absent. */
  readonly classOfRow: Int32Array | undefined
  readonly classes: number
  /** For each result vector, the classes it adds. */
  readonly members: readonly (readonly number[])[]
  /** Shape of the checksum. */
  readonly shape: readonly number[]
}

export function planNextChecksum(problem: MatmulProblem | Conv2dProblem, next: NextChecksum): NextChecksumPlan {
  if (problem.kind === 'matmul' || next.kind === 'matmul') {
    const columns = problem.kind === 'conv2d' ? problem.outChannels : problem.n
    const shape = problem.outShape.length === 3 ? [problem.count, columns] : [columns]
    return { classOfRow: undefined, classes: 1, members: [[0]], shape }
  }
  return planTaps(problem, next)
}

/** Abed's input checksum made exact: each tap adds the pixels that it sees, whatever stride, padding and dilation. */
function planTaps(problem: Conv2dProblem, next: Extract<NextChecksum, { kind: 'conv2d' }>): NextChecksumPlan {
  const [kh, kw] = next.kernel
  const [down, across] = [0, 1].map((axis) => {
    const size = axis === 0 ? problem.outHeight : problem.outWidth
    const [before, after] = next.pad.slice(axis * 2) as [number, number]
    const kernel = next.kernel[axis] as number
    const [stride, dilation] = [next.stride[axis] as number, next.dilation[axis] as number]
    const steps = outputSize({ size, kernel, stride, dilation, pad: before + after })
    if (steps < 1) {
      const at = { where: 'conv2d', argument: 'options.emit.nextChecksum.kernel' }
      throw shapeMismatch(at, 'no more taps than the padded output has pixels', problem.outShape)
    }
    return classesOfAxis({ size, kernel, stride, dilation, before, steps })
  }) as [AxisClasses, AxisClasses]

  const { batch, outHeight, outWidth } = problem
  const classOfRow = new Int32Array(problem.m)
  for (let b = 0, row = 0; b < batch; b++)
    for (let y = 0; y < outHeight; y++)
      for (let x = 0; x < outWidth; x++, row++)
        classOfRow[row] = (down.classOf[y] as number) * across.taps.length + (across.classOf[x] as number)

  const members: number[][] = []
  for (let r = 0; r < kh; r++)
    for (let s = 0; s < kw; s++) {
      const seen: number[] = []
      down.taps.forEach((rows, i) =>
        across.taps.forEach((columns, j) => {
          if (rows.has(r) && columns.has(s)) seen.push(i * across.taps.length + j)
        }),
      )
      members.push(seen)
    }
  const classes = down.taps.length * across.taps.length
  return { classOfRow, classes, members, shape: [kh, kw, problem.outChannels] }
}

interface AxisClasses {
  readonly classOf: Int32Array
  /** Taps that see a pixel of each class. */
  readonly taps: readonly ReadonlySet<number>[]
}

interface Axis {
  readonly size: number
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly before: number
  readonly steps: number
}

/** Groups the positions of one axis by the taps that see them. */
function classesOfAxis(axis: Axis): AxisClasses {
  const classOf = new Int32Array(axis.size)
  const taps: ReadonlySet<number>[] = []
  const known = new Map<string, number>()
  for (let position = 0; position < axis.size; position++) {
    const seenBy: number[] = []
    for (let tap = 0; tap < axis.kernel; tap++) {
      const start = position + axis.before - tap * axis.dilation
      if (start >= 0 && start % axis.stride === 0 && start / axis.stride < axis.steps) seenBy.push(tap)
    }
    const key = seenBy.join()
    let index = known.get(key)
    if (index === undefined) {
      index = taps.length
      known.set(key, index)
      taps.push(new Set(seenBy))
    }
    classOf[position] = index
  }
  return { classOf, taps }
}
