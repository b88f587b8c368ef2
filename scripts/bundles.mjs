// What a user's bundler makes of the packages: bundles small programs from the installed tarballs, minified, and holds
// each to its budget (gzip, kB of 1,000 bytes) and to the parts it must not contain. A marker is text that occurs in the
// part and nowhere else. Called by packed.mjs with the folder where the tarballs are installed.
import { writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const parts = {
  'wasm matrix products': 'ft.gemm',
  'float16 tables': 'toFloat16Array',
  'the webgpu engine': 'ft.webgpu',
  'the tfjs adapter': '@tensorflow/tfjs',
  'the gpu.js engine': 'gpu.js',
  plotting: 'observablehq',
}
const engines = ['wasm matrix products', 'the webgpu engine', 'the tfjs adapter', 'the gpu.js engine']

/** Budgets leave about a quarter above what was measured when they were set. */
const programs = [
  { code: `export { wilson } from '@ft/core/statistics'`, budget: 3 },
  { code: `export { createRandom } from '@ft/core/random'`, budget: 5 },
  { code: `export * from '@ft/core'`, budget: 6, without: [...engines, 'float16 tables'] },
  {
    code: `export { createWasmEngine } from '@ft/tensor-core/wasm'`,
    budget: 200,
    within: engines.slice(0, 1),
    without: engines.slice(1),
  },
  { code: `export { createReferenceEngine } from '@ft/tensor-core/reference'`, budget: 13, without: engines },
  { code: `export { parseModel, linearLayers } from '@ft/onnx'`, budget: 42, without: engines },
  { code: `export { formatTable, table } from '@ft/report'`, budget: 26, without: [...engines, 'plotting'] },
  { code: `export { train, predict } from '@ft/dart'`, budget: 60, without: engines },
  { code: `export { createKernels } from '@ft/abft-kernels'`, budget: 32, without: engines },
  { code: `export { planNetwork, zoo, findDevice } from '@ft/intensity-guide'`, budget: 25, without: engines },
  { code: `export { sum, createCoordinator, virtualClock } from '@ft/parm/serving'`, budget: 25, without: engines },
  { code: `export { openShards } from '@ft/ecrm'`, budget: 60, without: [...engines, 'plotting'] },
]

/** Bundles every program; returns counts like a test run. */
export async function checkBundles(app, log = console.log) {
  let passed = 0
  let failed = 0
  for (const [index, { code, budget, within = [], without = [] }] of programs.entries()) {
    const entry = join(app, `bundle-${index}.mjs`)
    writeFileSync(entry, code)
    const output = await build({
      root: app,
      configFile: false,
      logLevel: 'error',
      build: {
        write: false,
        minify: true,
        lib: { entry, formats: ['es'], fileName: 'bundle' },
        rollupOptions: { external: [/^node:/, ...builtinModules] },
      },
    })
    const chunks = output.flatMap((each) => each.output).filter((each) => each.type === 'chunk')
    // What is loaded at once; what waits for an import() is another file.
    const first = reachable(chunks)
    const kilobytes = gzipSync(first.map((chunk) => chunk.code).join('')).length / 1000
    const has = (part) => first.some((chunk) => chunk.code.includes(parts[part]))
    const found = without.filter(has)
    // A marker that has moved would let everything pass.
    const gone = within.filter((part) => !has(part))
    const ok = kilobytes <= budget && found.length === 0 && gone.length === 0
    if (ok) passed++
    else failed++
    const size = `${kilobytes.toFixed(1)} of ${budget} kB`
    const wrong = [...found.map((part) => `contains ${part}`), ...gone.map((part) => `lacks ${part}`)].join(', ')
    log(`${ok ? 'ok' : 'not ok'} bundle ${size}: ${code} ${wrong}`)
  }
  return { passed, failed }
}

function reachable(chunks) {
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]))
  const seen = new Set()
  const visit = (chunk) => {
    if (chunk === undefined || seen.has(chunk)) return
    seen.add(chunk)
    for (const name of chunk.imports) visit(byName.get(name))
  }
  for (const chunk of chunks) if (chunk.isEntry) visit(chunk)
  return [...seen]
}
