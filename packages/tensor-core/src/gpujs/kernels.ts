// The kernels in gpu.js' language, of one template: a thread computes one element, or a tile of one row and three
// columns with the sum that checks it, which is as much as an `Array(4)` holds. Elements add up in the order of k in all
// of them, so all give the same bits. Source text, because gpu.js parses it: a bundler must not rename or rewrite it.
import type { Gpujs, GpujsKernel } from './peer.ts'

export const tileColumns = 3

const element = `function (a, b, k) {
  let sum = 0
  for (let i = 0; i < k; i++) sum += a[this.thread.y][i] * b[i][this.thread.x]
  return sum
}`

const tile = (operands: string, check: string): string => `function (${operands}, k) {
  const x = this.thread.x * 3
  let c0 = 0
  let c1 = 0
  let c2 = 0
  let check = 0
  for (let i = 0; i < k; i++) {
    const v = a[this.thread.y][i]
    c0 += v * b[i][x]
    c1 += v * b[i][x + 1]
    c2 += v * b[i][x + 2]
    ${check}
  }
  return [c0, c1, c2, check]
}`

export type KernelName = 'plain' | 'one-sided' | 'replica'

const sources: Readonly<Record<KernelName, string>> = {
  plain: element,
  'one-sided': tile('a, b, folds', 'check += v * folds[i][this.thread.x]'),
  replica: tile('a, b', 'check += v * b[i][x] + v * b[i][x + 1] + v * b[i][x + 2]'),
}

export interface KernelCall {
  readonly name: KernelName
  /** Rows of A, of B, and of the folds where the kernel has them. */
  readonly operands: readonly (readonly Float32Array[])[]
  readonly k: number
  readonly size: readonly [columns: number, rows: number]
}

/** Values row by row: numbers of a plain kernel, four numbers a tile. */
export type KernelResult = readonly (Float32Array | readonly Float32Array[])[]

export interface Kernels {
  run(call: KernelCall): Promise<KernelResult>
  destroy(): Promise<void>
}

/** Kernels are made when they are first called. One runs at a time: an output's size belongs to the kernel. */
export function createKernels(gpu: Gpujs): Kernels {
  const made = new Map<KernelName, GpujsKernel>()
  let last: Promise<unknown> = Promise.resolve()

  async function call({ name, operands, k, size }: KernelCall): Promise<KernelResult> {
    let kernel = made.get(name)
    if (kernel === undefined) {
      const settings = { dynamicOutput: true, dynamicArguments: true, loopMaxIterations: 2 ** 31 - 1 }
      kernel = gpu.createKernel(sources[name], name === 'plain' ? settings : { ...settings, returnType: 'Array(4)' })
      made.set(name, kernel)
    }
    kernel.setOutput(size)
    return (await kernel(...operands, k)) as KernelResult
  }

  return {
    run(request) {
      const result = last.then(() => call(request))
      last = result.catch(() => undefined)
      return result
    },
    async destroy() {
      await last
      for (const kernel of made.values()) kernel.destroy()
      await gpu.destroy()
    },
  }
}
