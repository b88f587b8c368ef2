// The parts of the bench "gemm" that compare the engine with itself, and thin products with what memory gives.
import type { Emit } from '@ft/core'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { bounds } from './bench.ts'
import { readBandwidth } from './gemmBandwidth.ts'
import { floats, integers, speed, squares, type Setting, type Shape } from './gemmCases.ts'
import { interleave, type Rival } from './support/interleave.ts'

export async function twoThreads({ context, random, rounds }: Setting): Promise<void> {
  const shape = squares[2] as Shape
  const { m, n, k } = shape
  const engines = [createWasmEngine({ threads: 1 }), createWasmEngine({ threads: 2 })] as const
  for (const engine of engines) await engine.ready()
  const [a, b] = [floats(random, [m, k]), floats(random, [k, n])]
  const [one, two] = engines.map((engine) => {
    const weights = engine.prepareSync(b)
    return () => void engine.matmulSync(a, weights)
  }) as [() => void, () => void]
  const rivals = [
    { name: 'one', run: one },
    { name: 'two', run: two },
  ]
  const timed = await interleave(rivals, { rounds, seed: context.seed })
  const ratio = timed.ratio('one', 'two')
  context.emit({
    case: shape.name,
    metric: 'two threads',
    value: speed(timed, 'two', shape),
    unit: 'GFLOP/s',
    baseline: { case: 'one thread', value: speed(timed, 'one', shape) },
    ratio: ratio.value,
    ...bounds(ratio),
    target: engines[0].runtime.relaxed ? 'ratio >= 1.4' : 'ratio >= 1.6',
  })
  for (const engine of engines) await engine.dispose()
}

/** One row times a large matrix: bytes of weights a second, beside the sum of a long array. */
export async function thinProduct({ context, engine, random, rounds }: Setting): Promise<void> {
  const size = 4096
  const a = floats(random, [1, size])
  const weights = engine.prepareSync(floats(random, [size, size]))
  const reading = readBandwidth(256 << 20)
  const sums = { 'wasm SIMD sum of 256 MiB': reading.one, 'the same in four streams': reading.four }
  const rivals: Rival[] = [{ name: 'product', run: () => void engine.matmulSync(a, weights) }]
  for (const [name, run] of Object.entries(sums)) rivals.push({ name, run })
  const { processor: timed } = await interleave(rivals, { rounds, seed: context.seed })
  const bytes = 4 * size * size
  const share = bytes / reading.bytes
  for (const name of Object.keys(sums)) {
    const ratio = timed.ratio(name, 'product')
    context.emit({
      case: 'm = 1, k = n = 4096',
      metric: 'weights read',
      value: bytes / timed.medianOf('product') / 1e6,
      unit: 'GB/s',
      baseline: { case: name, value: reading.bytes / timed.medianOf(name) / 1e6 },
      ratio: ratio.value * share,
      low: ratio.low * share,
      high: ratio.high * share,
      n: ratio.n,
      target: 'ratio >= 0.85',
    })
  }
  await reading.dispose()
  weights.release()
}

const kinds: Readonly<Record<string, Emit>> = {
  'row sums': { rowSums: true },
  'tiles, one-sided': { tileSums: 'one-sided' },
  'tiles, two-sided': { tileSums: 'two-sided' },
  replica: { replica: true },
}

/** Time with sums over time without, beside the plain product timed twice: what the machine's noise looks like. */
export async function emitted({ context, engine, random, rounds }: Setting): Promise<void> {
  const thin = (m: number): Shape => ({ name: `m = ${m}, k = n = 1024`, m, n: 1024, k: 1024 })
  for (const shape of [...squares.slice(1), thin(1), thin(4), thin(8)]) {
    const { m, n, k, name } = shape
    const a = floats(random, [m, k])
    const out = { data: new Float32Array(m * n), shape: [m, n], dtype: 'float32' } as const
    const weights = engine.prepareSync(floats(random, [k, n]))
    const plain = { name: 'plain', run: () => void engine.matmulSync(a, weights, { out }) }
    const rivals: Rival[] = [plain, { ...plain, name: 'plain again' }]
    for (const [kind, emit] of Object.entries(kinds))
      rivals.push({ name: kind, run: () => void engine.matmulSync(a, weights, { out, emit }) })
    const { processor: timed } = await interleave(rivals, { rounds: rounds + 10, seed: context.seed })
    for (const rival of rivals.slice(1)) {
      const ratio = timed.ratio(rival.name, 'plain')
      context.emit({
        case: name,
        metric: `time, ${rival.name}`,
        value: timed.medianOf(rival.name),
        unit: 'ms',
        baseline: { case: 'plain', value: timed.medianOf('plain') },
        ratio: ratio.value,
        ...bounds(ratio),
        ...(rival.name === 'row sums' ? { target: m > 8 ? 'ratio <= 1.03' : 'ratio <= 1.01' } : {}),
      })
    }
    weights.release()
  }
}

export async function int8({ context, engine, random, rounds }: Setting): Promise<void> {
  const shape = squares[1] as Shape
  const { m, n, k } = shape
  const [a8, a] = [integers(random, [m, k]), floats(random, [m, k])]
  const w8 = engine.prepareSync(integers(random, [k, n]), { kind: 'matmul-int8' })
  const w = engine.prepareSync(floats(random, [k, n]))
  const rivals = [
    { name: 'int8', run: () => void engine.matmulInt8Sync(a8, w8) },
    { name: 'float32', run: () => void engine.matmulSync(a, w) },
  ]
  const { processor: timed } = await interleave(rivals, { rounds, seed: context.seed })
  const ratio = timed.ratio('float32', 'int8')
  context.emit({
    case: shape.name,
    metric: 'int8',
    value: speed(timed, 'int8', shape),
    unit: 'Gop/s',
    baseline: { case: 'float32', value: speed(timed, 'float32', shape) },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio >= 1.0',
  })
  w8.release()
  w.release()
}
