// The same bits on every machine: pinned sequences, a second implementation, and the same digests in a browser.
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
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')

describe('in a page', () => {
  it.skipIf(browser === undefined && !required)(
    `all sequences are the same${browser === undefined ? ' (skipped: no Chromium on PATH)' : ''}`,
    async () => {
      if (browser === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
      const folder = mkdtempSync(join(tmpdir(), 'ft-core-'))
      try {
        const page = join(folder, 'page.html')
        writeFileSync(page, `<!doctype html><title>running</title><body><script>${await bundle()}</script></body>`)
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

/** The digests with everything they need, as one script that writes its result into the page. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('./support/page.ts', import.meta.url))
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, lib: { entry, formats: ['iife'], name: 'page' } },
  })) as Rollup.RollupOutput[]
  return built[0]?.output[0]?.code.replaceAll('</script', '<\\/script') ?? ''
}
