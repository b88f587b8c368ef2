// The same bits on every machine: pinned sequences, a second implementation, and the same digests in a browser and on
// the newer Node that FT_NODE names.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build, type Rollup } from 'vite'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../src/random.ts'
import { digests } from './support/digest.ts'

interface Sequence {
  seed: number
  path: [name: string, index: number][]
  uint32: number[]
  uniform: number[]
  below1000: number[]
  below3e9: number[]
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./golden/${name}.json`, import.meta.url), 'utf8'))

const pinned = read('digests') as Record<string, string>

describe('sequences', () => {
  it.each(read('sequences') as Sequence[])(
    'of seed $seed, stream $path equal those of a second implementation',
    (row) => {
      let random = createRandom(row.seed)
      for (const [name, index] of row.path) random = random.stream(name, index)
      expect(row.uint32.map(() => random.uint32())).toEqual(row.uint32)
      expect(row.uniform.map(() => random.uniform())).toEqual(row.uniform)
      expect(row.below1000.map(() => random.integer(0, 999))).toEqual(row.below1000)
      expect(row.below3e9.map(() => random.integer(1, 3_000_000_000) - 1)).toEqual(row.below3e9)
    },
  )

  it('of every function that promises it are the pinned ones', () => {
    expect(digests()).toEqual(pinned)
  })
})

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))
const requires = (what: string) => (process.env['FT_REQUIRE'] ?? '').split(',').includes(what)
const required = requires('browser')

const newerNode = process.env['FT_NODE']

describe('on a newer Node', () => {
  it.skipIf(newerNode === undefined && !requires('node'))(
    `all sequences are the same${newerNode === undefined ? ' (skipped: FT_NODE names none)' : ''}`,
    async () => {
      if (newerNode === undefined) throw new Error('FT_REQUIRE asks for a newer Node, and FT_NODE names none')
      const folder = mkdtempSync(join(tmpdir(), 'ft-core-'))
      try {
        const script = join(folder, 'digests.cjs')
        writeFileSync(script, await bundle(new URL('./support/print.ts', import.meta.url)))
        const run = promisify(execFile)
        const { stdout } = await run(newerNode, [script], { timeout: 50_000 })
        expect(JSON.parse(stdout)).toEqual(pinned)
        const version = (await run(newerNode, ['--version'])).stdout
        expect(Number(/^v(\d+)/.exec(version)?.[1])).toBeGreaterThan(20)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )
})

describe('in a page', () => {
  it.skipIf(browser === undefined && !required)(
    `all sequences are the same${browser === undefined ? ' (skipped: no Chromium on PATH)' : ''}`,
    async () => {
      if (browser === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
      const folder = mkdtempSync(join(tmpdir(), 'ft-core-'))
      try {
        const page = join(folder, 'page.html')
        writeFileSync(
          page,
          `<!doctype html><title>running</title><body><script>${await bundle(new URL('./support/page.ts', import.meta.url))}</script></body>`,
        )
        const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
        const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
        const profile = `--user-data-dir=${join(folder, 'profile')}`
        const dump = [
          ...flags,
          ...quiet,
          profile,
          '--virtual-time-budget=20000',
          '--dump-dom',
          pathToFileURL(page).href,
        ]
        const { stdout } = await promisify(execFile)(browser, dump, { timeout: 50_000 })
        const text = /<pre>(.*?)<\/pre>/s.exec(stdout)?.[1]
        expect(JSON.parse(text ?? stdout)).toEqual(pinned)
      } finally {
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
      }
    },
  )
})

/** An entry with everything it needs, as one script. */
async function bundle(source: URL): Promise<string> {
  const entry = fileURLToPath(source)
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, lib: { entry, formats: ['iife'], name: 'page' } },
  })) as Rollup.RollupOutput[]
  return built[0]?.output[0]?.code.replaceAll('</script', '<\\/script') ?? ''
}
