// The WebGPU engine in Node, through the package `webgpu`. All checks share one file, and so one process, device and
// cache of kernels: on a software adapter a kernel takes a second to compile.
import { describe, expect, it } from 'vitest'
import { describeWebgpu } from '../../src/webgpu/device.ts'
import convolutions from './convolutions.ts'
import faults from './faults.ts'
import half from './half.ts'
import laws from './laws.ts'
import matrices from './matrices.ts'
import misuse from './misuse.ts'
import products from './products.ts'

const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('webgpu')
const { available, detail } = await describeWebgpu()

it('has an adapter where it is required', () => {
  expect(available || !required, detail).toBe(true)
})

/** A software adapter on a busy machine compiles a kernel in seconds; no check measures time. */
const patience = 300_000

const withMatrices = available && detail.includes('subgroup-matrix')
const halves = available && detail.includes('shader-f16')
const suites = [
  ['products', products, available, detail],
  ['laws', laws, available, detail],
  ['convolutions', convolutions, available, detail],
  ['faults', faults, available, detail],
  ['float16', half, halves, available ? `${detail}: no shader-f16` : detail],
  ['subgroup matrices', matrices, withMatrices, available ? `${detail}: no subgroup matrices` : detail],
  ['misuse', misuse, available, detail],
] as const

for (const [suite, checks, runs, reason] of suites)
  describe(`webgpu ${suite}${runs ? '' : ` (skipped: ${reason})`}`, () => {
    for (const { name, run } of checks) it.skipIf(!runs)(name, run, patience)
  })
