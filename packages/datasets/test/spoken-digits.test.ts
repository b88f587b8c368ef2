import { createRandom } from '@ft/core/random'
import { describe, expect, it } from 'vitest'
import { logSpectrograms, readRecordings } from '../src/index.ts'
import { bytesOf, messageOf, outcome, outcomesOfCuts } from './helpers/damage.ts'

const PCM = new Uint8Array([0, 0, 255, 127, 0, 128, 1, 0, 255, 255])
const INDEX = `name,digit,speaker,take,split,offset_samples,n_samples
0_ann_0,0,ann,0,test,0,2
7_bob_31,7,bob,31,train,2,3
`

describe('readRecordings', () => {
  it('cuts the samples by the index', async () => {
    expect(await readRecordings({ recordings: PCM, index: bytesOf(INDEX) })).toEqual([
      { digit: 0, speaker: 'ann', take: 0, part: 'test', samples: Int16Array.of(0, 32767) },
      { digit: 7, speaker: 'bob', take: 31, part: 'train', samples: Int16Array.of(-32768, 1, -1) },
    ])
  })

  it('refuses recordings cut anywhere, and an index cut anywhere but at its last line end', async () => {
    const index = bytesOf(INDEX)
    const cutPcm = await outcomesOfCuts(PCM, (recordings) => readRecordings({ recordings, index }))
    expect(cutPcm).toEqual(new Set(['CORRUPT_DATA']))
    const cutIndex = await outcomesOfCuts(index.subarray(0, -1), (cut) =>
      readRecordings({ recordings: PCM, index: cut }),
    )
    expect(cutIndex).toEqual(new Set(['CORRUPT_DATA']))
  })

  it.each([
    ['name,digit', 'header'],
    [INDEX.replace(',7,bob', ',10,bob'), 'line 3'],
    [INDEX.replace('train', 'other'), 'line 3'],
    [INDEX.replace('train,2', 'train,1'), 'line 3'],
    [INDEX.replace('train,2,3', 'train,2,4'), 'line 3'],
    [INDEX.replace('train,2,3', 'train,2,2'), 'its end'],
    [INDEX.replace(',bob', ','), 'line 3'],
    ['', 'its end'],
  ])('refuses the index %#', async (index, where) => {
    const work = () => readRecordings({ recordings: PCM, index: bytesOf(index) })
    expect(await outcome(work())).toBe('CORRUPT_DATA')
    expect(await messageOf(work())).toContain(where)
  })
})

/** The transform by its definition: 160 complex products a bin. */
function magnitudesByDefinition(samples: Int16Array, start: number): number[] {
  return Array.from({ length: 81 }, (_, k) => {
    let real = 0
    let imaginary = 0
    for (let n = 0; n < 160; n++) {
      const windowed = ((samples[start + n] ?? 0) / 32768) * (0.54 - 0.46 * Math.cos((2 * Math.PI * n) / 160))
      real += windowed * Math.cos((2 * Math.PI * n * k) / 160)
      imaginary -= windowed * Math.sin((2 * Math.PI * n * k) / 160)
    }
    return Math.hypot(real, imaginary)
  })
}

describe('logSpectrograms', () => {
  it('is the short-time transform of the definition', () => {
    const random = createRandom(3)
    for (const length of [160, 1000, 4080, 9000]) {
      const samples = Int16Array.from({ length }, () => random.integer(-32768, 32767))
      const expected = new Float64Array(81 * 50)
      for (let f = 0; f < 50; f++) {
        for (const [k, magnitude] of magnitudesByDefinition(samples, 80 * f).entries()) {
          expected[k * 50 + f] = Math.log(1 + magnitude)
        }
      }
      const mean = expected.reduce((sum, value) => sum + value, 0) / expected.length
      const deviation = Math.sqrt(expected.reduce((sum, value) => sum + (value - mean) ** 2, 0) / expected.length)
      const { data, shape } = logSpectrograms([{ samples }])
      expect(shape).toEqual([1, 81, 50])
      // Values are rounded to float32 before and after normalising: 2^-24 of values up to log(1 + 80) = 4.4, divided by a
      // deviation of about 1, then 2^-24 of results up to 4: below 1e-6. The transforms themselves agree to 1e-13.
      const off = expected.reduce(
        (most, value, i) => Math.max(most, Math.abs(data[i]! - (value - mean) / deviation)),
        0,
      )
      expect(off).toBeLessThan(2e-6)
    }
  })

  it('shows a pure tone in its bin', () => {
    // 1000 Hz is bin 20 of 50 Hz each.
    const samples = Int16Array.from({ length: 4080 }, (_, n) => 10000 * Math.sin((2 * Math.PI * 1000 * n) / 8000))
    const { data } = logSpectrograms([{ samples }])
    const column = Array.from({ length: 81 }, (_, k) => data[k * 50 + 10]!)
    expect(column.indexOf(Math.max(...column))).toBe(20)
  })

  it('makes silence zeros and normalises the rest', () => {
    const loud = Int16Array.from({ length: 2000 }, (_, n) => (n % 50) * 100)
    const { data } = logSpectrograms([{ samples: new Int16Array(500) }, { samples: loud }])
    expect(data.subarray(0, 4050).every((value) => value === 0)).toBe(true)
    const second = data.subarray(4050)
    const mean = second.reduce((sum, value) => sum + value, 0) / 4050
    const variance = second.reduce((sum, value) => sum + value ** 2, 0) / 4050
    // Mean of 4050 float32 values around 0, each rounded by at most 2^-22 (values up to 8).
    expect(Math.abs(mean)).toBeLessThan(1e-6)
    expect(Math.abs(variance - 1)).toBeLessThan(1e-5)
  })
})
