// Runs test files in a real Chromium: bundled, served on the loopback address, with or without the headers that give a page
// shared memory.
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { PageResult } from './vitest.ts'

const here = dirname(fileURLToPath(import.meta.url))

/** The first Chromium on PATH. */
export const browser: string | undefined = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))

/** Whether FT_REQUIRE asks for a browser: then its absence is a failure. */
export const browserRequired = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')

export interface PageRun {
  /** TypeScript that imports test files, or defines tests; paths are relative to this folder. */
  readonly code: string
  /** Serve with COOP and COEP headers, so that the page may share memory with threads. */
  readonly isolated: boolean
  /** Further flags of the browser. */
  readonly flags?: readonly string[]
}

export interface PageReport {
  readonly results: readonly PageResult[]
  /** Whether the page could share memory. */
  readonly isolated: boolean
}

interface Esbuild {
  build(options: object): Promise<{ outputFiles: { text: string }[] }>
}

/** The bundler that vite brings. */
function esbuild(): Esbuild {
  return createRequire(createRequire(import.meta.url).resolve('vite/package.json'))('esbuild') as Esbuild
}

async function bundle(code: string): Promise<string> {
  const { outputFiles } = await esbuild().build({
    stdin: { contents: `${code}\nglobalThis.dispatchEvent(new Event('ft-defined'))`, resolveDir: here, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['ft-source'],
    alias: { vitest: join(here, 'vitest.ts') },
    define: { 'process.env': '{}' },
    // The package says of itself that importing has no effects; defining tests is one.
    ignoreAnnotations: true,
    logLevel: 'error',
  })
  return (outputFiles[0] as { text: string }).text
}

function serve(script: string, isolated: boolean): Promise<Server> {
  const headers = isolated
    ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
    : {}
  const server = createServer(({ url }, response) => {
    const isScript = url === '/tests.js'
    response.writeHead(200, { ...headers, 'Content-Type': isScript ? 'text/javascript' : 'text/html; charset=utf-8' })
    response.end(
      isScript ? script : '<!doctype html><title>tests</title><script type="module" src="/tests.js"></script>',
    )
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update']

export async function runInChromium({ code, isolated, flags = [] }: PageRun): Promise<PageReport> {
  if (browser === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
  const server = await serve(await bundle(code), isolated)
  const launched = await chromium.launch({
    executablePath: browser,
    args: ['--no-sandbox', '--disable-sync', ...quiet, ...flags],
  })
  try {
    const page = await launched.newPage()
    const trouble = new Promise<never>((_resolve, reject) => page.on('pageerror', reject))
    // The page is loaded when the suites have run, which may take longer than a page is given.
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { waitUntil: 'commit' })
    const done = page.waitForFunction('globalThis.ftResults', undefined, { timeout: 240_000 })
    await Promise.race([done, trouble])
    const results = await page.evaluate<PageResult[]>('globalThis.ftResults')
    return { results, isolated: await page.evaluate<boolean>('globalThis.crossOriginIsolated') }
  } finally {
    await launched.close()
    server.close()
  }
}
