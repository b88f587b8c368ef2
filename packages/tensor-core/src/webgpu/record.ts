// The commands of one product: the small kernels that its sums need, the product itself, the copy back.
/// <reference types="@webgpu/types" />
import { FtError } from '@ft/core'
import type { Lease } from './buffers.ts'
import { maximumGroups, usage } from './constants.ts'
import type { GpuDevice } from './device.ts'
import { input, write } from './operand.ts'
import { encodeParams, paramsBytes, type Params } from './params.ts'
import { pipelinesOf } from './pipelines.ts'
import { columnGroups } from './shader/checksums.ts'
import { bindings } from './shader/operands.ts'
import { gridOf } from './sums.ts'
import type { Task } from './task.ts'
import { groupColumns, type KernelTile } from './tile.ts'
import { createTimer, type Timer } from './timer.ts'
import type { DeviceWeights } from './weights.ts'

export type Take = (bytes: number, flags: number, what: string) => Lease

/** Kernels of one product; the small ones only where its sums need them. */
export interface Kernels {
  readonly product: GPUComputePipeline
  readonly columnsOfA: GPUComputePipeline | undefined
  readonly fold: GPUComputePipeline | undefined
}

type Bound = Partial<Record<(typeof bindings)[number], Lease>>

export interface Recording {
  readonly gpu: GpuDevice
  readonly task: Task
  readonly tile: KernelTile
  readonly weights: DeviceWeights
  readonly kernels: Kernels
  readonly params: Params
  /** Operands and what belongs to them. */
  readonly inputs: Bound
  /** Elements of C and its sums. */
  readonly elements: number
  readonly timed: boolean
  /** A buffer for this product, and one that the weights keep. */
  readonly take: Take
  readonly keep: Take
}

export interface Submitted {
  /** C and its sums, to be mapped. */
  readonly back: Lease
  readonly bytes: number
  readonly timer: Timer | undefined
  /** Folds that were made for the weights to keep. */
  readonly folds: Lease | undefined
}

/** Workgroups across and down, and items. */
interface Grid {
  readonly x: number
  readonly y: number
  readonly z: number
}

/** @throws `UNSUPPORTED` for more columns than a dispatch takes */
export function assertColumns({ where, problem }: Task, tile: KernelTile): void {
  const columns = maximumGroups * groupColumns(tile)
  if (problem.n > columns)
    throw new FtError('UNSUPPORTED', `${where}: ${problem.n} columns are more than ${columns}: split the product`, {
      columns: problem.n,
    })
}

/** Records and submits. */
export function submit(recording: Recording): Submitted {
  const { gpu, task, tile, weights, kernels, elements, timed, take, keep } = recording
  const { count, n, k, integer } = task.problem
  const { device } = gpu
  const bytes = elements * 4
  const out = take(bytes, usage.storage | usage.copySource, 'the product and its sums')
  const back = take(bytes, usage.mapRead | usage.copyTarget, 'the product and its sums')
  const timer = timed ? createTimer(gpu, take) : undefined
  const encoder = device.createCommandEncoder({ label: task.where })
  const pass = encoder.beginComputePass(timer?.pass ?? {})
  const bound: Bound = { ...recording.inputs }

  if (kernels.columnsOfA !== undefined) {
    const target = take(count * k * (integer ? 4 : 8), usage.storage, 'the column sums of the operands')
    dispatch(recording, pass, {
      kernel: kernels.columnsOfA,
      grid: { x: columnGroups(k), y: 1, z: count },
      bound,
      out: target,
    })
    bound.columnsOfA = target
  }
  // Another product may have made them since this one asked for its kernels.
  let folds = weights.folds.get(tile.columns)
  const made = kernels.fold !== undefined && folds === undefined
  if (made) {
    const panels = Math.ceil(n / tile.columns)
    folds = keep(weights.count * k * panels * 4, usage.storage, 'the folds of the weights')
    const grid = { x: Math.ceil(panels / 64), y: k, z: weights.count }
    dispatch(recording, pass, { kernel: kernels.fold, grid, bound, out: folds })
  }
  if (folds !== undefined) bound.folds = folds
  const { across, down } = gridOf(task.problem, tile)
  dispatch(recording, pass, { kernel: kernels.product, grid: { x: across, y: down, z: count }, bound, out })
  pass.end()
  encoder.copyBufferToBuffer(out.buffer, 0, back.buffer, 0, bytes)
  timer?.resolve(encoder)
  device.queue.submit([encoder.finish()])
  return { back, bytes, timer, folds: made ? folds : undefined }
}

/** One kernel over a grid; in several dispatches where the grid is longer than one takes. */
function dispatch(
  { gpu, params, take }: Recording,
  pass: GPUComputePassEncoder,
  o: { kernel: GPUComputePipeline; grid: Grid; bound: Bound; out: Lease },
): void {
  const { x, y, z } = o.grid
  if (x * y * z === 0) return
  const { device } = gpu
  const nothing = take(16, input, 'nothing')
  pass.setPipeline(o.kernel)
  for (let item = 0; item < z; item += maximumGroups)
    for (let row = 0; row < y; row += maximumGroups) {
      const uniform = take(paramsBytes, usage.uniform | usage.copyTarget, 'the parameters')
      write(device, uniform, encodeParams({ ...params, firstItem: item, firstRowGroup: row }))
      const bound: Bound = { ...o.bound, params: uniform, out: o.out }
      const entries = bindings.map((name, binding) => {
        const { buffer, bytes } = bound[name] ?? nothing
        return { binding, resource: { buffer, size: bytes } }
      })
      pass.setBindGroup(0, device.createBindGroup({ layout: pipelinesOf(device).layout, entries }))
      pass.dispatchWorkgroups(x, Math.min(maximumGroups, y - row), Math.min(maximumGroups, z - item))
    }
}
