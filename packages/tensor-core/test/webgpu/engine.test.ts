// The WebGPU engine in Node, through the package `webgpu`. All checks share one file, and so one process, device and
// cache of kernels: on a software adapter a kernel takes a second to compile.
import { describe, expect, it } from 'vitest'
import { describeWebgpu } from '../../src/webgpu/device.ts'
import convolutions from './convolutions.ts'
import faults from './faults.ts'
import misuse from './misuse.ts'
import products from './products.ts'

const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('webgpu')
const { available, detail } = await describeWebgpu()

const suites = { products, convolutions, faults, misuse }

it('has an adapter where it is required', () => {
  expect(available || !required, detail).toBe(true)
})

describe.each(Object.entries(suites))(`webgpu %s${available ? '' : ` (skipped: ${detail})`}`, (_name, checks) => {
  for (const { name, run } of checks) it.skipIf(!available)(name, run)
})
