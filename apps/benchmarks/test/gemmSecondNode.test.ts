import { describe, expect, it } from 'vitest'
import { sameBench } from '../src/gemmSecondNode.ts'
import { createContext } from '../src/support/context.ts'

describe('the bench on a second Node', () => {
  it('measures the part that the first was asked for, with its seed, as quickly', () => {
    const context = createContext('gemm', { quick: true, json: false, seed: 7, case: 'squares' }, 'a machine')
    expect(context.wants('squares')).toBe(true)
    expect(context.wants('sums')).toBe(false)
    expect(sameBench(context)).toEqual(['gemm', '--json', '--seed', '7', '--case', 'squares', '--quick'])
  })

  it('measures all parts where none was named', () => {
    const context = createContext('gemm', { quick: false, json: false, seed: 1 }, 'a machine')
    expect(context.wants('sums')).toBe(true)
    expect(sameBench(context)).toEqual(['gemm', '--json', '--seed', '1'])
  })
})
