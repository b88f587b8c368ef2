// Trains, predicts and reads models in a browser's worker, on one thread (no headers for shared memory), to Node's bits.
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { expect, it } from 'vitest'
import { crc32 } from '../src/exchange/container.ts'
import { saveModel, train } from '../src/index.ts'
import { workerInput, workerOptions } from './support/browserInput.ts'

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')
if (browser === undefined) console.log('skipped: no Chromium on PATH')

interface Esbuild {
  build(options: object): Promise<{ outputFiles: { text: string }[] }>
}

/** The worker's source, bundled as an application would. */
async function bundle(entry: URL): Promise<string> {
  const { build } = createRequire(createRequire(import.meta.url).resolve('tsup'))('esbuild') as Esbuild
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    conditions: ['ft-source'],
  })
  return outputFiles[0]?.text ?? ''
}

it.skipIf(browser === undefined && !required)(
  'a worker in a page trains the model that Node trains',
  { timeout: 90_000 },
  async () => {
    const worker = await bundle(new URL('./support/browserWorker.ts', import.meta.url))
    const server = createServer((request, response) => {
      const isWorker = request.url === '/worker.js'
      response.setHeader('content-type', isWorker ? 'text/javascript' : 'text/html')
      response.end(isWorker ? worker : '<!doctype html><title>dart</title>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const session = await chromium.launch({
      executablePath: browser as string,
      args: ['--no-sandbox', '--disable-quic'],
    })
    try {
      const page = await session.newPage()
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      const golden = JSON.parse(readFileSync(new URL('golden/xgboost-1.7.4.json', import.meta.url), 'utf8')) as {
        model: unknown
      }[]
      const answer = await page.evaluate(
        (xgboost) =>
          new Promise<Record<string, unknown>>((resolve, reject) => {
            const thread = new Worker('/worker.js')
            thread.onmessage = ({ data }) => resolve(data as Record<string, unknown>)
            thread.onerror = ({ message }) => reject(new Error(message))
            thread.postMessage(xgboost)
          }),
        JSON.stringify(golden[1]?.model),
      )
      const { model, history } = await train(workerInput(), workerOptions)
      expect(answer).toEqual({
        crc: crc32(saveModel(model)),
        validation: history.at(-1)?.validation,
        csvColumns: ['age number', 'town category'],
        xgboostTrees: 10,
        isShared: false,
      })
    } finally {
      await session.close()
      server.close()
    }
  },
)
