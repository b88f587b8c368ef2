// Compiles a package's AssemblyScript into base64 strings in src/generated/<name>.ts, one for each build:
// {strict, relaxed} SIMD x {unshared, shared} memory. Run in a package's folder; modules are named in its
// package.json: "ft": { "assembly": { "<name>": "assembly/<entry>.ts" } }.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { tmpdir } from 'node:os'

const asc = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin/asc.js')
const modules = JSON.parse(readFileSync('package.json', 'utf8')).ft?.assembly ?? {}

const common = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd']
const shared = ['--enable', 'threads', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536']
const relaxed = ['--enable', 'relaxed-simd']
const variants = {
  simd: [...common],
  relaxed: [...common, ...relaxed],
  'simd-shared': [...common, ...shared],
  'relaxed-shared': [...common, ...relaxed, ...shared],
}

mkdirSync('src/generated', { recursive: true })
const scratch = mkdtempSync(join(tmpdir(), 'ft-asc-'))
try {
  for (const [name, entry] of Object.entries(modules)) {
    const lines = []
    for (const [variant, flags] of Object.entries(variants)) {
      const out = join(scratch, `${name}-${variant}.wasm`)
      execFileSync(process.execPath, [asc, entry, '--outFile', out, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] })
      lines.push(`  '${variant}':\n    '${readFileSync(out).toString('base64')}',`)
    }
    writeFileSync(
      `src/generated/${name}.ts`,
      `// Made by scripts/assembly.mjs from ${entry}.\n` +
        `export const ${name}: Readonly<Record<'simd' | 'relaxed' | 'simd-shared' | 'relaxed-shared', string>> = {\n${lines.join('\n')}\n}\n`,
    )
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
