// The WebGPU engine's checks in a real Chromium, through navigator.gpu: on a GPU where it has one, else in software.
import { expect, it } from 'vitest'
import { browser, browserRequired, runInChromium } from './chromium.ts'

const skip = browser === undefined && !browserRequired
if (skip) console.warn('the WebGPU checks in Chromium are skipped: no Chromium on PATH')

const code = `
import { describe, it } from 'vitest'
import convolutions from '../webgpu/convolutions.ts'
import faults from '../webgpu/faults.ts'
import misuse from '../webgpu/misuse.ts'
import products from '../webgpu/products.ts'

for (const [name, checks] of Object.entries({ products, convolutions, faults, misuse }))
  describe(name, () => {
    for (const { name, nodeOnly, run } of checks) if (nodeOnly !== true) it(name, run)
  })
`

it.skipIf(skip)(
  'computes on navigator.gpu what the reference computes',
  async () => {
    const flags = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
    const { results } = await runInChromium({ code, isolated: false, flags })
    expect(results.filter(({ error }) => error !== undefined)).toEqual([])
    expect(results.length).toBeGreaterThan(10)
  },
  300_000,
)
