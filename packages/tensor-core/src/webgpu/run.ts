// One product on the device: operands up, the kernels, C and its sums down.
/// <reference types="@webgpu/types" />
import { FtError, type Fault, type Product } from '@ft/core'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import type { FaultContext } from '../problem/faults.ts'
import { planNextChecksum } from '../problem/next-checksum.ts'
import type { Buffers, Lease } from './buffers.ts'
import { mapModeRead, maximumGroups, usage } from './constants.ts'
import type { GpuDevice } from './device.ts'
import { encodeEvents } from './events.ts'
import { input, upload, write } from './operand.ts'
import { encodeParams, finishBias, finishGelu, finishRelu, paramsBytes, type Params } from './params.ts'
import { pipelinesOf } from './pipelines.ts'
import { columnGroups } from './shader/checksums.ts'
import type { Storage, Variant } from './shader/variant.ts'
import { gridOf, SumsLayout } from './sums.ts'
import { newOutput, type Task } from './task.ts'
import type { Tile } from './tile.ts'
import { createTimer } from './timer.ts'
import type { DeviceWeights } from './weights.ts'

export interface Run {
  readonly gpu: GpuDevice
  readonly buffers: Buffers
  readonly task: Task
  readonly weights: DeviceWeights
  readonly storage: Storage
  readonly tile: Tile
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
  const leases: Lease[] = []
  let intact = false
  try {
    const product = await onDevice(run, leases)
    intact = true
    return product
  } catch (error) {
    if (error instanceof FtError) throw error
    throw await lostOr(gpu, task.where, error)
  } finally {
    for (const lease of leases)
      if (intact) buffers.give(lease)
      else buffers.drop(lease)
  }
}

export function assertNotLost(gpu: GpuDevice, where: string): void {
  if (gpu.lost !== undefined) throw lostError(gpu.lost, where)
}

function lostError(reason: string, where: string, cause?: unknown): FtError {
  const message = `${where}: the GPU device was lost (${reason}); create another engine`
  return new FtError('ENGINE_UNAVAILABLE', message, { reason }, { cause })
}

/** A failed wait is most often a lost device, of which its promise tells a moment later. */
async function lostOr(gpu: GpuDevice, where: string, cause: unknown): Promise<FtError> {
  await Promise.race([gpu.device.lost, new Promise((resolve) => setTimeout(resolve, 100))])
  if (gpu.lost !== undefined) return lostError(gpu.lost, where, cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new FtError('ENGINE_UNAVAILABLE', `${where}: the GPU device failed: ${reason}`, {}, { cause })
}

async function onDevice(run: Run, leases: Lease[]): Promise<Product> {
  const { gpu, buffers, task, weights, storage, tile, context, faults } = run
  const { device } = gpu
  const { problem, where } = task
  const { count, m, n, k, emit, integer, bias, activation } = problem
  const output = problem.out ?? newOutput(problem)
  const next = emit.nextChecksum === undefined ? undefined : planNextChecksum(problem, emit.nextChecksum)
  const first = output.data.length
  const sideBySide = problem.kind === 'conv2d'
  const sums = new SumsLayout({ sizes: problem, emit, next, sideBySide, tile, integer, first })
  const take = (bytes: number, flags: number, what: string): Lease => {
    const lease = buffers.take(bytes, flags, { where, what, binding: (flags & usage.storage) !== 0 })
    leases.push(lease)
    return lease
  }
  const place = (data: ArrayBufferView, what: string): Lease => {
    const lease = take(data.byteLength, input, what)
    if (data.byteLength > 0) write(device, lease, data)
    return lease
  }

  // Everything that the caller may change later is copied before the first wait.
  const uploads = watch(device, () => {
    const a = upload(device, buffers, { data: task.a, storage, where, what: 'the operands' })
    leases.push(a)
    const events = encodeEvents(faults, context)
    const classes = next?.classOfRow
    const marks = new Uint32Array((classes?.length ?? 0) + events.length)
    if (classes !== undefined) marks.set(classes)
    marks.set(events, marks.length - events.length)
    return {
      a,
      bias: bias === undefined ? undefined : place(bias.data, 'the biases'),
      marks: marks.length === 0 ? undefined : place(marks, 'the marks of rows'),
      eventsAt: marks.length - events.length,
      eventCount: events.length / 6,
    }
  })
  const { a, eventsAt, eventCount } = uploads.value

  const own = context.ownWeights || weights.batched || problem.kind === 'conv2d'
  const params: Params = {
    m,
    n,
    k,
    ...task.geometry,
    bItem: own ? weights.item : 0,
    bStep: weights.step,
    bColumn: weights.column,
    bStepsFirst: weights.column === 1 ? 0 : 1,
    finish:
      (bias === undefined ? 0 : finishBias) |
      (activation === 'relu' ? finishRelu : activation === 'gelu' ? finishGelu : 0),
    checksumItem: own ? k : 0,
    panels: Math.ceil(n / tile.columns),
    foldItem: own ? k * Math.ceil(n / tile.columns) : 0,
    ...sums.params,
    infinity: 0x7f80_0000,
    eventsAt,
    eventCount,
    ownWeights: own ? 1 : 0,
  }
  const variant = variantOf(run)
  const folds = variant.tileSums === undefined ? undefined : weights.folds.get(tile.columns)
  const pipelines = pipelinesOf(device)
  const [product, columnsOfA, fold] = await Promise.all([
    pipelines.product(variant),
    variant.columnSums ? pipelines.columnsOfA(storage, task.gather) : undefined,
    variant.tileSums !== undefined && folds === undefined ? pipelines.fold(storage, tile.columns) : undefined,
  ])
  assertNotLost(gpu, where)
  // Nothing to compute: all sums are empty or zero.
  if (count === 0 || m === 0) {
    const empty = integer ? new Int32Array(sums.elements) : new Float32Array(sums.elements)
    return { output, ...sums.collect(empty) }
  }

  const submitted = watch(device, () => {
    const bytes = sums.elements * 4
    const out = take(bytes, usage.storage | usage.copySource, 'the product and its sums')
    const back = take(bytes, usage.mapRead | usage.copyTarget, 'the product and its sums')
    const dummy = take(16, input, 'nothing')
    const timer = run.onTime === undefined ? undefined : createTimer(gpu, take)
    const encoder = device.createCommandEncoder({ label: where })
    const pass = encoder.beginComputePass(timer?.pass ?? {})
    const bound: Record<number, Lease | undefined> = {
      1: a,
      2: weights.b,
      4: uploads.value.bias,
      5: weights.checksum,
      8: uploads.value.marks,
    }
    const dispatch = (
      pipeline: GPUComputePipeline,
      o: { x: number; y: number; z: number; target: Lease; items?: number },
    ): void => {
      if (o.x > maximumGroups)
        throw new FtError('UNSUPPORTED', `${where}: ${n} columns are more than a dispatch takes: split the product`, {
          columns: n,
        })
      pass.setPipeline(pipeline)
      for (let z = 0; z < o.z; z += maximumGroups)
        for (let y = 0; y < o.y; y += maximumGroups) {
          const uniform = take(paramsBytes, usage.uniform | usage.copyTarget, 'the parameters')
          write(device, uniform, encodeParams({ ...params, firstItem: z, firstRowGroup: y }))
          pass.setBindGroup(
            0,
            device.createBindGroup({
              layout: pipelines.layout,
              entries: Array.from({ length: 9 }, (_, binding) => {
                const lease = binding === 0 ? uniform : binding === 3 ? o.target : (bound[binding] ?? dummy)
                return { binding, resource: { buffer: lease.buffer, size: lease.bytes } }
              }),
            }),
          )
          pass.dispatchWorkgroups(o.x, Math.min(maximumGroups, o.y - y), Math.min(maximumGroups, o.z - z))
        }
    }

    const sumBytes = integer ? 4 : 8
    if (columnsOfA !== undefined) {
      const target = take(count * k * sumBytes, usage.storage, 'the column sums of the operands')
      if (k > 0) dispatch(columnsOfA, { x: columnGroups(k), y: 1, z: count, target })
      bound[6] = target
    }
    if (folds !== undefined) bound[7] = folds
    if (fold !== undefined) {
      const panels = Math.ceil(n / tile.columns)
      const items = own ? weights.count : 1
      const target = buffers.take(items * k * panels * 4, usage.storage, { where, what: 'the folds of the weights' })
      if (k * panels > 0) dispatch(fold, { x: Math.ceil(panels / 64), y: k, z: items, target })
      bound[7] = target
      // Kept with the weights, which give them back; another product may have been as fast.
      const kept = weights.folds.get(tile.columns)
      if (kept === undefined) weights.folds.set(tile.columns, target)
      else leases.push(target)
    }
    const { across, down } = gridOf(problem, tile)
    dispatch(product, { x: across, y: down, z: count, target: out })
    pass.end()
    encoder.copyBufferToBuffer(out.buffer, 0, back.buffer, 0, bytes)
    timer?.resolve(encoder)
    device.queue.submit([encoder.finish()])
    return { back, bytes, timer }
  })

  const { back, bytes, timer } = submitted.value
  await Promise.all([
    bytes === 0 ? undefined : back.buffer.mapAsync(mapModeRead, 0, bytes),
    uploads.done,
    submitted.done,
    timer?.read().then((nanoseconds) => run.onTime?.(nanoseconds)),
  ])
  if (bytes === 0) return { output, ...sums.collect(integer ? new Int32Array() : new Float32Array()) }
  const mapped = back.buffer.getMappedRange(0, bytes)
  const words = integer ? new Int32Array(mapped) : new Float32Array(mapped)
  ;(output.data as Float32Array | Int32Array).set(words.subarray(0, first))
  const result: Product = { output, ...sums.collect(words) }
  back.buffer.unmap()
  for (const { site, effect } of faults) if (site.kind === 'checksum') strikeChecksum(result, { site, effect, context })
  return result
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

/** Runs calls on the device and promises that it found no fault in them. */
function watch<T>(device: GPUDevice, call: () => T): { value: T; done: Promise<void> } {
  device.pushErrorScope('validation')
  device.pushErrorScope('out-of-memory')
  let value: T
  let memory: Promise<GPUError | null>
  let other: Promise<GPUError | null>
  try {
    value = call()
  } finally {
    memory = device.popErrorScope()
    other = device.popErrorScope()
  }
  const done = Promise.all([memory, other]).then(([full, wrong]) => {
    if (full !== null) throw new FtError('UNSUPPORTED', `webgpu: out of device memory: ${full.message}`)
    if (wrong !== null) throw new FtError('ENGINE_UNAVAILABLE', `webgpu: the device refused a call: ${wrong.message}`)
  })
  // Awaited later, perhaps after another error.
  done.catch(() => undefined)
  return { value, done }
}
