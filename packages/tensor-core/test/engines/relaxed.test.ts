// The suites of the wasm engine once more on the newer Node that FT_NODE names, whose relaxed SIMD this Node may not have.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { relaxedSimdSupported } from '../../src/wasm.ts'

const newerNode = process.env['FT_NODE']
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('node')
const suites = ['matmul', 'conv2d', 'faults', 'gelu'].map((name) => `test/engines/${name}.test.ts`)

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

it.skipIf((newerNode === undefined && !required) || relaxedSimdSupported())(
  `relaxed SIMD on a newer Node: products, sums, faults (skipped without FT_NODE, or where this Node has it)`,
  { timeout: 240_000 },
  async () => {
    if (newerNode === undefined) throw new Error('FT_REQUIRE asks for a newer Node, and FT_NODE names none')
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
    const folder = mkdtempSync(join(tmpdir(), 'ft-relaxed-'))
    try {
      const outputFile = join(folder, 'results.json')
      // A run that fails exits with 1: what it reported says more.
      const failure = await promisify(execFile)(
        newerNode,
        [vitest, 'run', ...suites, '--typecheck.enabled=false', '--reporter=json', `--outputFile.json=${outputFile}`],
        { cwd: root, timeout: 200_000, env: { ...process.env, VITEST: '', VITEST_WORKER_ID: '' } },
      ).then(
        () => undefined,
        (error: unknown) => error,
      )
      const report = JSON.parse(readFileSync(outputFile, 'utf8')) as Report
      const cases = report.testResults.flatMap(({ assertionResults }) => assertionResults)
      expect(cases.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)).toEqual([])
      expect(failure).toBeUndefined()
      expect(cases.filter(({ fullName }) => fullName.includes('relaxed')).length).toBeGreaterThan(30)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
