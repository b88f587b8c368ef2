// Installs the packed tarballs of every public package into an empty folder, as a user would, and runs each package's
// test/packed.mjs there in both module forms. Such a file exports `checks`: { name: async (load) => void }, where
// `load(specifier)` is `import` or `require`. Then bundles small programs there and checks their sizes (bundles.mjs).
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkBundles } from './bundles.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'ft-user-'))
let passed = 0
let failed = 0

const runner = `
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const [file, form] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const load = form === 'esm' ? (name) => import(name) : async (name) => require(name)
const { checks } = await import(file)
let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try { await check(load, assert); console.log('ok ' + name) }
  catch (error) { failed++; console.log('not ok ' + name); console.error(error) }
}
process.exit(failed ? 1 : 0)
`

try {
  const packages = readdirSync('packages')
    .map((name) => join('packages', name))
    .filter((folder) => !JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).private)
  const overrides = {}
  for (const folder of packages) {
    const pack = spawnSync('pnpm', ['pack', '--pack-destination', scratch, '--json'], { cwd: folder, encoding: 'utf8' })
    if (pack.status !== 0) throw new Error(`${folder}: pnpm pack failed\n${pack.stdout}${pack.stderr}`)
    const { name, filename } = JSON.parse(pack.stdout)
    overrides[name] = `file:${filename}`
  }
  const app = join(scratch, 'app')
  mkdirSync(app)
  writeFileSync(
    join(app, 'package.json'),
    JSON.stringify({
      name: 'user',
      private: true,
      type: 'module',
      dependencies: { ...overrides, 'fast-check': '4.3.0' },
      pnpm: { overrides },
    }),
  )
  writeFileSync(join(app, 'pnpm-workspace.yaml'), 'autoInstallPeers: false\n')
  writeFileSync(join(app, 'run.mjs'), runner)
  const install = spawnSync('pnpm', ['install', '--prefer-offline', '--ignore-scripts', '--prod'], {
    cwd: app,
    encoding: 'utf8',
  })
  if (install.status !== 0) throw new Error(`installing the tarballs failed\n${install.stdout}${install.stderr}`)
  for (const folder of packages) {
    const file = join(folder, 'test', 'packed.mjs')
    if (!existsSync(file)) {
      console.log(`${folder}: no test/packed.mjs`)
      failed++
      continue
    }
    const copy = join(app, `${folder.split('/')[1]}.packed.mjs`)
    copyFileSync(file, copy)
    for (const form of ['esm', 'cjs']) {
      const result = spawnSync(process.execPath, ['run.mjs', copy, form], {
        cwd: app,
        encoding: 'utf8',
        timeout: 120_000,
      })
      const lines = result.stdout.split('\n')
      const ok = lines.filter((line) => line.startsWith('ok ')).length
      const bad = lines.filter((line) => line.startsWith('not ok ')).length || (result.status === 0 && ok > 0 ? 0 : 1)
      passed += ok
      failed += bad
      console.log(`${folder} packed, ${form}: ${ok} passed, ${bad} failed`)
      if (bad) console.error(result.stdout + result.stderr)
    }
  }
  const bundles = await checkBundles(app)
  passed += bundles.passed
  failed += bundles.failed
} catch (error) {
  failed++
  console.error(error instanceof Error ? error.message : error)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
mkdirSync('.vitest', { recursive: true })
writeFileSync('.vitest/packed.json', JSON.stringify({ passed, failed }))
process.exit(failed ? 1 : 0)
