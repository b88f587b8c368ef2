// The model of wasted time against the published form of its table, and against simulated failures; naive propagation.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { floatSumParity, naivePropagation, simulateFailures, wastedTime } from '../src/index.ts'

const coding = { overhead: 0.04, rebuild: 20, slowdown: 0.13 }

describe('wastedTime', () => {
  // Hours between failures, minutes of stall; interval in minutes, then per cent: best, every 30 min, every 60 min, coding.
  // Each printed figure is rounded to its last digit.
  it.each([
    [4, 2, 31, 13.7, 13.8, 16.7, 5.1],
    [4, 10, 69, 33.0, 43.8, 33.3, 5.1],
    [12, 2, 54, 7.7, 9.0, 7.8, 4.4],
    [12, 10, 120, 18.1, 36.8, 22.2, 4.4],
    [24, 2, 76, 5.4, 7.8, 5.6, 4.2],
    [24, 10, 170, 12.5, 35.1, 19.4, 4.2],
  ])('M = %i h, C = %i min', (hours, stall, interval, best, every30, every60, coded) => {
    const of = (every?: number) =>
      wastedTime({
        meanTimeBetweenFailures: hours * 60,
        checkpoint: { stall, ...(every === undefined ? {} : { interval: every }) },
        coding,
      })
    expect(Math.round(of().interval)).toBe(interval)
    const percent = (part: number): number => Number((part * 100).toFixed(1))
    expect([percent(of().checkpoint), percent(of(30).checkpoint), percent(of(60).checkpoint)]).toEqual([
      best,
      every30,
      every60,
    ])
    expect(percent(of().coding)).toBe(coded)
    expect(of().choose).toBe('coding')
  })

  it('names the stall at which both cost the same', () => {
    const options = { meanTimeBetweenFailures: 1440, coding }
    const { breakEvenStall } = wastedTime({ ...options, checkpoint: { stall: 5 } })
    const { checkpoint, coding: coded } = wastedTime({ ...options, checkpoint: { stall: breakEvenStall } })
    // Both sides are sums of a few terms of size 1: float64 rounding stays far below 1e-12.
    expect(Math.abs(checkpoint - coded)).toBeLessThan(1e-12)
  })

  it('refuses what cannot be', () => {
    const bad = () => wastedTime({ meanTimeBetweenFailures: 0, checkpoint: { stall: 1 }, coding })
    expect(bad).toThrow(expect.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT')))
  })
})

it('simulated failures waste what the model says', () => {
  const options = {
    meanTimeBetweenFailures: 240,
    checkpoint: { stall: 10, interval: 60 },
    coding,
    runs: 200,
    seed: 1,
  }
  const { checkpoint, coding: coded } = simulateFailures(options)
  // The model is first order: it leaves out failures during stalls and reloads (C + R = 20 of 240 min) and the part of the
  // stall that is lost with the interval, together a few per cent of the useful time.
  expect(checkpoint.value).toBeGreaterThan(0.3)
  expect(checkpoint.value).toBeLessThan(0.42)
  // o + q T / M = 5.08 %; 1.04 / (1 - lost) differs from the sum by second-order terms below 0.3 %.
  expect(Math.abs(coded.value - wastedTime(options).coding)).toBeLessThan(0.005)
})

describe('naive gradient propagation', () => {
  const run = (name: 'sgd' | 'adagrad' | 'momentum' | 'adam', updates: number, learningRate = 0.1) =>
    naivePropagation({
      optimizer: { name, learningRate },
      updates,
      seed: 1,
      ...(name === 'adagrad' ? { initialState: 0.1 } : {}),
    })

  it('decodes a row of Adagrad that is off by about half of its norm after 1,000 updates', () => {
    // The published form of this check says 49 %; gradients are drawn anew here, and 64 values average them.
    expect(run('adagrad', 1_000).ofNorm).toBeGreaterThan(0.39)
    expect(run('adagrad', 1_000).ofNorm).toBeLessThan(0.59)
    expect(run('adagrad', 100).ofNorm).toBeGreaterThan(0.15)
  })

  it('is wrong with momentum and Adam, and right with plain SGD up to float32', () => {
    expect(run('momentum', 10).ofNorm).toBeGreaterThan(0.2)
    expect(run('adam', 10, 0.01).ofNorm).toBeGreaterThan(0.05)
    // 1,000 float32 additions each round by at most 2^-24 of values below 4.
    expect(run('sgd', 1_000).ofNorm).toBeLessThan(1e-4)
  })
})

describe('a parity that is a float sum', () => {
  const run = (updates: number, k = 4) =>
    floatSumParity({ optimizer: { name: 'adagrad', learningRate: 0.1 }, k, updates, seed: 1 })

  it('decodes rows that are nearly right, and less so the longer it is trained', () => {
    const [short, long] = [run(1_000), run(20_000)]
    // Two roundings an update, of values below 16: 2^-25 x 16 each at the most.
    expect(short.largest).toBeLessThan(1_000 * 2 * 2 ** -21)
    expect(short.ofNorm).toBeGreaterThan(0)
    expect(long.ofNorm).toBeGreaterThan(2 * short.ofNorm)
    expect(long.ofNorm).toBeLessThan(5e-5)
    expect(long.exact).toBeLessThan(0.05)
  })

  it('refuses a stripe of one row', () => {
    expect(() => run(10, 1)).toThrow(expect.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT')))
  })
})
