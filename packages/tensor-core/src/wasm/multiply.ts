// Products of the wasm engine, as many as a request has, plain, with sums, judged, or under injected faults.
import { FtError, type Fault } from '@ft/core'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import { assertFaults } from '../problem/faults.ts'
import type { JudgedProduct } from '../problem/judging.ts'
import { planNextChecksum } from '../problem/next-checksum.ts'
import { rowBlocks } from '../problem/ranges.ts'
import { strikeWeights } from './events.ts'
import { multiplyJudged } from './judged.ts'
import {
  contextOf,
  describe,
  multiplyItem,
  sumsRequest,
  type Engine,
  type ProductRequest,
  type Wanted,
} from './product.ts'
import { flagsOf, Sums } from './sums.ts'
import { foldWeights } from './weights.ts'

export function multiply(engine: Engine, request: ProductRequest): JudgedProduct {
  if (request.faults !== undefined && request.faults.length > 0) return multiplyStruck(engine, request, request.faults)
  return multiplyAll(engine, request)
}

/** A product under injected faults. */
function multiplyStruck(engine: Engine, request: ProductRequest, faults: readonly Fault[]): JudgedProduct {
  const { kernels } = engine
  const { weights } = request
  const context = contextOf(request)
  if (!kernels.instrumented)
    throw new FtError(
      'UNSUPPORTED',
      `${context.where}: \`options.faults\` need an engine created with { instrumented: true }`,
    )
  assertFaults(faults, context)
  // Folds of clean weights are part of the check; they must be there before the weights are struck.
  if (request.problem.emit.tileSums !== undefined) weights.folds ??= foldWeights(kernels, weights, request.reserve)
  const restore = strikeWeights(kernels.runtime, weights, faults)
  try {
    // Sums that are struck afterwards have to be there.
    const sums = faults.some(({ site }) => site.kind === 'checksum')
    const product = multiplyAll(engine, sums ? { ...request, limits: undefined } : request)
    for (const { site, effect } of faults)
      if (site.kind === 'checksum') strikeChecksum(product, { site, effect, context })
    return product
  } finally {
    restore()
  }
}

function multiplyAll(engine: Engine, request: ProductRequest): JudgedProduct {
  const { kernels } = engine
  const { problem, weights } = request
  const { emit, count, m } = problem
  const next = emit.nextChecksum === undefined ? undefined : planNextChecksum(problem, emit.nextChecksum)
  if (emit.tileSums !== undefined) weights.folds ??= foldWeights(kernels, weights, request.reserve)

  const { rows: perBlock, blocks } = rowBlocks(m, weights.arithmetic.tileRows)
  const flags = flagsOf(emit)
  const wanted: Wanted = { next, perBlock, blocks, flags }
  const judged = multiplyJudged(engine, request, wanted)
  if (judged !== undefined) return judged

  const sums = flags === 0 ? undefined : new Sums(sumsRequest(engine, request, wanted), flags)
  for (let item = 0; item < count; item++) {
    const descriptor = describe(engine, request, { item, flags })
    sums?.begin(descriptor)
    multiplyItem(engine, request, { item, descriptor, perBlock, blocks })
    sums?.collect(item)
  }
  const output = request.output.tensor()
  return sums === undefined ? { output } : sums.result(output)
}
