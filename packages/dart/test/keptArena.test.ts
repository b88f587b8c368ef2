// The kernels that predictions share: made once, clean for every call, let go when large or damaged.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { predict, train, type TrainOptions } from '../src/index.ts'
import { MOST_KEPT, withKeptArena } from '../src/keptArena.ts'
import { makeData } from './support/made.ts'

const options: TrainOptions = { objective: 'squared', rounds: 30, maxDepth: 5, seed: 3 }

afterEach(() => {
  vi.restoreAllMocks()
})

describe('repeated predictions', () => {
  it('compile no kernel, make no memory and let none grow', async () => {
    const { model } = await train(makeData(300), options)
    const { features } = makeData(3000, { seed: 4, missing: 0.1 })
    const first = predict(model, features)
    const grown = vi.spyOn(WebAssembly.Memory.prototype, 'grow')
    const compiled = vi.spyOn(WebAssembly, 'Module')
    const memories = vi.spyOn(WebAssembly, 'Memory')
    for (let i = 0; i < 20; i++) expect(predict(model, features)).toEqual(first)
    expect(compiled).not.toHaveBeenCalled()
    expect(memories).not.toHaveBeenCalled()
    expect(grown).not.toHaveBeenCalled()
  })

  it('give the bits of single rows, whatever other models did with the memory in between', async () => {
    const models = await Promise.all([
      train(makeData(300, { missing: 0.1 }), options),
      train(makeData(300, { task: 'classes' }), { ...options, objective: 'softmax' }),
      // Too deep for complete trees: the general kernel.
      train(makeData(800), { ...options, maxDepth: 14, minRows: 1 }),
    ])
    // More rows than one stage of the kernels' memory takes, and not a multiple of it.
    const { features } = makeData(12_345, { seed: 5, missing: 0.05 })
    const { data, columns } = features
    for (let turn = 0; turn < 2; turn++) {
      for (const { model } of models) {
        const all = predict(model, features, { output: 'raw' })
        // One row alone is added up in plain JavaScript.
        for (const row of [0, 159, 160, 10_922, 12_344]) {
          const alone = { data: data.subarray(row * columns, (row + 1) * columns), rows: 1, columns }
          const scores = all.subarray(row * model.outputs, (row + 1) * model.outputs)
          expect(predict(model, alone, { output: 'raw' })).toEqual(scores)
        }
      }
    }
  })
})

describe('a kept arena', () => {
  it('is lent again, with all of its memory free', () => {
    const [arena, address] = withKeptArena((lent) => [lent, lent.doubles(1000).address] as const)
    expect(withKeptArena((lent) => lent)).toBe(arena)
    expect(withKeptArena((lent) => lent.doubles(1000).address)).toBe(address)
  })

  it('is not lent to two at once', () => {
    withKeptArena((outer) => {
      expect(withKeptArena((inner) => inner)).not.toBe(outer)
    })
  })

  it('is let go after a failure, and after it grew large', () => {
    let failed: unknown
    const fail = () =>
      withKeptArena((lent) => {
        failed = lent
        throw new Error('a kernel failed')
      })
    expect(fail).toThrow('a kernel failed')
    const next = withKeptArena((lent) => lent)
    expect(next).not.toBe(failed)
    const large = withKeptArena((lent) => (lent.bytes(MOST_KEPT), lent))
    expect(large).toBe(next)
    expect(withKeptArena((lent) => lent)).not.toBe(large)
  })
})
