// One product on the device: operands up, the kernels, C and its sums down.
/// <reference types="@webgpu/types" />
import { FtError, type Fault, type Product } from '@ft/core'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import { newOutput } from '../problem/output.ts'
import type { FaultContext } from '../problem/faults.ts'
import { planNextChecksum, type NextChecksumPlan } from '../problem/next-checksum.ts'
import type { Buffers, Lease } from './buffers.ts'
import { mapModeRead, usage } from './constants.ts'
import type { GpuDevice } from './device.ts'
import { encodeEvents } from './events.ts'
import { assertNotLost, deviceError, watched } from './guard.ts'
import { input, upload, write } from './operand.ts'
import { finishBias, finishGelu, finishRelu, type Params } from './params.ts'
import { pipelinesOf } from './pipelines.ts'
import { assertColumns, submit, type Kernels, type Take } from './record.ts'
import { eventWords } from './shader/faults.ts'
import type { Storage, Variant } from './shader/variant.ts'
import { SumsLayout } from './sums.ts'
import type { Task } from './task.ts'
import type { KernelTile } from './tile.ts'
import type { DeviceWeights } from './weights.ts'

export interface Run {
  readonly gpu: GpuDevice
  readonly buffers: Buffers
  readonly task: Task
  readonly weights: DeviceWeights
  readonly storage: Storage
  readonly tile: KernelTile
  readonly instrumented: boolean
  readonly faults: readonly Fault[]
  readonly context: FaultContext
  /** Told how long the product took on the device, where the adapter has timestamps. */
  readonly onTime: ((nanoseconds: number) => void) | undefined
}

/** @throws `ENGINE_UNAVAILABLE` when the device is lost on the way, `UNSUPPORTED` for what does not fit */
export async function runProduct(run: Run): Promise<Product> {
  const { gpu, task, buffers } = run
  assertNotLost(gpu, task.where)
  assertColumns(task, run.tile)
  const leases: Lease[] = []
  let intact = false
  try {
    const product = await onDevice(run, leases)
    intact = true
    return product
  } catch (error) {
    if (error instanceof FtError) throw error
    throw await deviceError(gpu, task.where, error)
  } finally {
    for (const lease of leases)
      if (intact) buffers.give(lease)
      else buffers.drop(lease)
  }
}

async function onDevice(run: Run, leases: Lease[]): Promise<Product> {
  const { gpu, buffers, task, weights, tile } = run
  const { problem, where } = task
  const { emit, integer } = problem
  const output = problem.out ?? newOutput(problem)
  const next = emit.nextChecksum === undefined ? undefined : planNextChecksum(problem, emit.nextChecksum)
  const first = output.data.length
  const sums = new SumsLayout({
    sizes: problem,
    emit,
    next,
    sideBySide: problem.kind === 'conv2d',
    tile,
    integer,
    first,
  })
  // Nothing to compute: all sums are empty or zero.
  if (problem.count === 0 || problem.m === 0 || sums.elements === 0) {
    const zeros = integer ? new Int32Array(sums.elements) : new Float32Array(sums.elements)
    return { output, ...sums.collect(zeros) }
  }
  const keep: Take = (bytes, flags, what) =>
    buffers.take(bytes, flags, { where, what, binding: (flags & usage.storage) !== 0 })
  const take: Take = (bytes, flags, what) => {
    const lease = keep(bytes, flags, what)
    leases.push(lease)
    return lease
  }

  // Everything that the caller may change later is copied before the first wait.
  const uploaded = watched(gpu.device, () => uploadInputs(run, { next, take, leases }))
  const { a, bias, marks, events } = uploaded.value
  const kernels = await kernelsOf(run)
  assertNotLost(gpu, where)

  const submitted = watched(gpu.device, () =>
    submit({
      ...{ gpu, task, tile, weights, kernels, take, keep, elements: sums.elements, timed: run.onTime !== undefined },
      params: { ...paramsOf(run), ...sums.params, ...events },
      inputs: {
        a,
        b: weights.b,
        ...(bias && { bias }),
        ...(marks && { marks }),
        ...(weights.checksum && { checksum: weights.checksum }),
      },
    }),
  )
  const { back, bytes, timer, folds } = submitted.value
  if (folds !== undefined) weights.folds.set(tile.columns, folds)
  try {
    await Promise.all([
      back.buffer.mapAsync(mapModeRead, 0, bytes),
      uploaded.done,
      submitted.done,
      timer?.read().then((nanoseconds) => run.onTime?.(nanoseconds)),
    ])
  } catch (error) {
    if (folds !== undefined) weights.folds.delete(tile.columns)
    if (folds !== undefined) buffers.drop(folds)
    throw error
  }
  const mapped = back.buffer.getMappedRange(0, bytes)
  const words = integer ? new Int32Array(mapped) : new Float32Array(mapped)
  ;(output.data as Float32Array | Int32Array).set(words.subarray(0, first))
  const result: Product = { output, ...sums.collect(words) }
  back.buffer.unmap()
  const { context } = run
  for (const { site, effect } of run.faults)
    if (site.kind === 'checksum') strikeChecksum(result, { site, effect, context })
  return result
}

interface Inputs {
  readonly a: Lease
  readonly bias: Lease | undefined
  /** Classes of rows for the next checksum, then the events of the fault list. */
  readonly marks: Lease | undefined
  readonly events: Params
}

function uploadInputs(
  { gpu, buffers, task, storage, faults, context }: Run,
  { next, take, leases }: { next: NextChecksumPlan | undefined; take: Take; leases: Lease[] },
): Inputs {
  const { device } = gpu
  const place = (data: ArrayBufferView, what: string): Lease | undefined => {
    if (data.byteLength === 0) return undefined
    const lease = take(data.byteLength, input, what)
    write(device, lease, data)
    return lease
  }
  const a = upload(device, buffers, { data: task.a, storage, where: task.where, what: 'the operands' })
  leases.push(a)
  const events = encodeEvents(faults, context)
  const classes = next?.classOfRow ?? new Int32Array()
  const marks = new Uint32Array(classes.length + events.length)
  marks.set(classes)
  marks.set(events, classes.length)
  const { bias } = task.problem
  return {
    a,
    bias: bias && place(bias.data, 'the biases'),
    marks: place(marks, 'the marks of rows'),
    events: { eventsAt: classes.length, eventCount: events.length / eventWords },
  }
}

async function kernelsOf(run: Run): Promise<Kernels> {
  const { gpu, task, storage, tile, weights } = run
  const variant = variantOf(run)
  const pipelines = pipelinesOf(gpu.device)
  const folds = variant.tileSums !== undefined && !weights.folds.has(tile.columns)
  const [product, columnsOfA, fold] = await Promise.all([
    pipelines.product(variant),
    variant.columnSums ? pipelines.columnsOfA(storage, task.gather) : undefined,
    folds ? pipelines.fold(storage, tile.columns) : undefined,
  ])
  return { product, columnsOfA, fold }
}

function variantOf({ task, storage, tile, instrumented, faults }: Run): Variant {
  const { emit } = task.problem
  return {
    tile,
    storage,
    gather: task.gather,
    rowActual: emit.rowSums === true || emit.total === true,
    rowExpected: emit.rowSums === true,
    columnSums: emit.columnSums === true,
    tileSums: emit.tileSums,
    replica: emit.replica === true,
    next: emit.nextChecksum !== undefined,
    rowStatistics: emit.rowStatistics === true,
    instrumented: instrumented && faults.some(({ site }) => site.kind !== 'checksum'),
  }
}

/** Sizes, strides, and how weights are shared. */
function paramsOf({ task, weights, tile }: Run): Params {
  const { problem, geometry } = task
  const { m, n, k, bias, activation } = problem
  // Batch items may share one matrix; groups of a convolution never do.
  const own = weights.batched || problem.kind === 'conv2d'
  const panels = Math.ceil(n / tile.columns)
  const bits = { relu: finishRelu, gelu: finishGelu }
  return {
    m,
    n,
    k,
    ...geometry,
    bItem: own ? weights.item : 0,
    bStep: weights.step,
    bColumn: weights.column,
    bStepsFirst: weights.column === 1 ? 0 : 1,
    finish: (bias === undefined ? 0 : finishBias) | (activation === undefined ? 0 : bits[activation]),
    ownWeights: own ? 1 : 0,
    checksumItem: own ? k : 0,
    foldItem: own ? k * panels : 0,
    panels,
    infinity: 0x7f80_0000,
  }
}
