// What the checks of the WebGPU engine share: engines by their options, made once for all checks of a process or page.
import type { Emit } from '@ft/core'
import { createReferenceEngine, type ReferenceEngine } from '../../src/reference.ts'
import { createWebgpuEngine, type WebgpuEngine, type WebgpuEngineOptions } from '../../src/webgpu.ts'

export interface Check {
  readonly name: string
  /** Left out in a page: it is slow on a software adapter, or needs Node. */
  readonly nodeOnly?: boolean
  run(): Promise<void>
}

/** Register tiles as usual, workgroups and depth small: the code is the same, compiles fast, and sizes reach its edges. */
export const smallTile = { rows: 4, columns: 4, across: 4, down: 4, depth: 4 } as const

const engines = new Map<string, Promise<WebgpuEngine>>()

export function engineOf(options: WebgpuEngineOptions = { tile: smallTile }): Promise<WebgpuEngine> {
  const key = JSON.stringify(options)
  let engine = engines.get(key)
  if (engine === undefined) {
    engine = createWebgpuEngine(options)
    engines.set(key, engine)
  }
  return engine
}

export const referenceOf = (tile: { rows: number; columns: number } = smallTile): ReferenceEngine =>
  createReferenceEngine({ tile: [tile.rows, tile.columns], instrumented: true })

/** Few combinations of sums: each is a kernel to compile. */
export const emits: Readonly<Record<'rows' | 'all' | 'twoSided', Emit>> = {
  rows: { rowSums: true, total: true },
  all: {
    rowSums: true,
    columnSums: true,
    total: true,
    tileSums: 'one-sided',
    replica: true,
    rowStatistics: true,
    nextChecksum: { kind: 'matmul' },
  },
  twoSided: { columnSums: true, tileSums: 'two-sided' },
}
