// The same checks in Chromium, on its software adapter: one source for Node and for pages.
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import convolutions from './convolutions.ts'
import faults from './faults.ts'
import laws from './laws.ts'
import misuse from './misuse.ts'
import type { PageChecks } from './page.ts'
import products from './products.ts'

const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')
const skip = executablePath === undefined && !required

const flags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The page's script: the sources and the checks, bundled as for any page. */
async function bundle(): Promise<string> {
  const require = createRequire(import.meta.url)
  const esbuild = createRequire(require.resolve('tsup'))('esbuild') as {
    build(o: object): Promise<{ outputFiles: { text: string }[] }>
  }
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: ['ft-source'],
    logLevel: 'error',
  })
  return outputFiles[0]?.text ?? ''
}

describe.skipIf(skip)(`in Chromium${skip ? ' (skipped: no Chromium on PATH)' : ''}`, () => {
  let browser: Browser
  let server: Server
  let page: Page
  beforeAll(async () => {
    if (executablePath === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
    const script = await bundle()
    server = createServer((request, response) => {
      const isScript = request.url === '/checks.js'
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? script : '<!doctype html><title>checks</title><script src="/checks.js"></script>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    browser = await chromium.launch({ executablePath, args: flags })
    page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  it('has an adapter', async () => {
    const found = await page.evaluate(() => (globalThis as unknown as { ftChecks: PageChecks }).ftChecks.describe())
    expect(found).toMatchObject({ available: true })
  })

  for (const [suite, checks] of Object.entries({ products, laws, convolutions, faults, misuse }))
    for (const { name, nodeOnly } of checks)
      if (nodeOnly !== true)
        it(`${suite}: ${name}`, async () => {
          const failure = await page.evaluate(
            ([s, n]) => (globalThis as unknown as { ftChecks: PageChecks }).ftChecks.run(s, n),
            [suite, name] as const,
          )
          expect(failure).toBeUndefined()
        }, 300_000)
})
