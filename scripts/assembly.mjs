// What a package generates, as its package.json says; run in the package's folder.
//   "ft": {
//     "assembly": { "<name>": "assembly/<entry>.ts" },  AssemblyScript -> src/generated/<name>.ts: base64 of one build for
//                                                       each of {strict, relaxed} SIMD x {unshared, shared} memory
//     "workers": { "<name>": "src/<entry>.ts" }         -> src/generated/<name>.ts: the bundled source of a thread as text
//   }
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

const require = createRequire(import.meta.url)
const { assembly = {}, workers = {} } = JSON.parse(readFileSync('package.json', 'utf8')).ft ?? {}

// Warning 112 is about vectors between exported functions, which only kernels of one module exchange.
const common = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--importMemory',
  '--enable',
  'simd',
  '--disableWarning',
  '112',
]
const shared = ['--enable', 'threads', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536']
const relaxed = ['--enable', 'relaxed-simd']
const variants = {
  simd: [...common],
  relaxed: [...common, ...relaxed],
  'simd-shared': [...common, ...shared],
  'relaxed-shared': [...common, ...relaxed, ...shared],
}

/** Ids of a module's sections. */
function sections(wasm) {
  const ids = []
  for (let at = 8; at < wasm.length;) {
    ids.push(wasm[at++])
    let size = 0
    let shift = 0
    let byte
    do {
      byte = wasm[at++]
      size |= (byte & 127) << shift
      shift += 7
    } while (byte & 128)
    at += size
  }
  return ids
}

async function compile(asc, entry, flags, out) {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [asc, entry, '--outFile', out, ...flags])
  if (stdout || stderr) process.stderr.write(stdout + stderr)
  const wasm = readFileSync(out)
  // Modules share one memory: static data of two of them would lie at the same address.
  if (sections(wasm).includes(11)) {
    throw new Error(
      `${entry}: has static data (strings, static arrays, Math functions with tables); use explicit addresses`,
    )
  }
  return wasm.toString('base64')
}

async function generateAssembly(scratch) {
  const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js')
  for (const [name, entry] of Object.entries(assembly)) {
    const lines = await Promise.all(
      Object.entries(variants).map(async ([variant, flags]) => {
        const wasm = await compile(asc, entry, flags, join(scratch, `${name}-${variant}.wasm`))
        return `  '${variant}':\n    '${wasm}',`
      }),
    )
    write(
      name,
      entry,
      `export const ${name}: Readonly<Record<'simd' | 'relaxed' | 'simd-shared' | 'relaxed-shared', string>> = {\n${lines.join('\n')}\n}\n`,
    )
  }
}

async function generateWorkers() {
  if (Object.keys(workers).length === 0) return
  const { build } = createRequire(require.resolve('tsup'))('esbuild')
  for (const [name, entry] of Object.entries(workers)) {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'es2022',
      minify: true,
      conditions: ['ft-source'],
    })
    write(name, entry, `export const ${name}: string = ${JSON.stringify(outputFiles[0].text)}\n`)
  }
}

function write(name, entry, text) {
  writeFileSync(`src/generated/${name}.ts`, `// Made by scripts/${basename(import.meta.url)} from ${entry}.\n${text}`)
}

mkdirSync('src/generated', { recursive: true })
const scratch = mkdtempSync(join(tmpdir(), 'ft-asc-'))
try {
  await generateAssembly(scratch)
  await generateWorkers()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
