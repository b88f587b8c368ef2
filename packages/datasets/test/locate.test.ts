import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { isFtError } from '@ft/core'
import { locate, requireData, type SetName } from '../src/index.ts'
import { cacheFolder } from '../src/locate.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ft-locate-'))
  vi.stubEnv('FT_DATA_DIR', '')
  vi.stubEnv('FT_MODELS_DIR', '')
  vi.stubEnv('FT_REQUIRE', '')
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

async function put(...path: string[]): Promise<string> {
  const file = join(folder, ...path)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, 'x')
  return file
}

const ADULT = 'adult-census'

describe('locate', () => {
  it('looks in FT_DATA_DIR, then in the cache', async () => {
    const cached = await put('cache', 'ft-datasets', ADULT, 'adult.data')
    await put('cache', 'ft-datasets', ADULT, 'adult.test')
    expect(locate(ADULT).path('adult.data')).toBe(cached)
    expect(cacheFolder()).toBe(join(folder, 'cache', 'ft-datasets'))

    const zipped = await put('data', ADULT, 'adult.data.gz')
    await put('data', ADULT, 'adult.test.gz')
    vi.stubEnv('FT_DATA_DIR', join(folder, 'data'))
    expect(locate(ADULT).path('adult.data')).toBe(zipped)
    expect(locate(ADULT).folder).toBe(join(folder, 'data', ADULT))
  })

  it('falls back to the cache for a set that FT_DATA_DIR lacks', async () => {
    await put('data', 'mnist', 'x')
    await put('cache', 'ft-datasets', ADULT, 'adult.data')
    await put('cache', 'ft-datasets', ADULT, 'adult.test')
    vi.stubEnv('FT_DATA_DIR', join(folder, 'data'))
    expect(locate(ADULT).folder).toBe(join(cacheFolder(), ADULT))
  })

  it('finds models in FT_MODELS_DIR, and in models beside FT_DATA_DIR', async () => {
    await put('data', 'mnist', 'x')
    const beside = await put('models', 'silero-vad', 'silero_vad_v5.onnx')
    vi.stubEnv('FT_DATA_DIR', join(folder, 'data'))
    expect(locate('silero-vad').path('silero_vad_v5.onnx')).toBe(beside)
    const own = await put('own', 'silero-vad', 'silero_vad_v5.onnx')
    vi.stubEnv('FT_MODELS_DIR', join(folder, 'own'))
    expect(locate('silero-vad').path('silero_vad_v5.onnx')).toBe(own)
  })

  it('names a wrong FT_DATA_DIR, whether it is missing, a file or has no set, even when the cache has the set', async () => {
    await put('cache', 'ft-datasets', ADULT, 'adult.data')
    await put('cache', 'ft-datasets', ADULT, 'adult.test')
    const file = await put('file')
    const empty = join(folder, 'empty')
    await mkdir(empty)
    for (const wrong of [join(folder, 'none'), file, empty]) {
      vi.stubEnv('FT_DATA_DIR', wrong)
      expect(() => locate(ADULT)).toThrow(`FT_DATA_DIR must name a folder with folders such as mnist`)
      expect(() => locate(ADULT)).toThrow(`got '${wrong}'`)
      // Not a reason to skip: the variable is a typing error.
      expect(() => requireData(ADULT)).toThrow(wrong)
    }
  })

  it('names the file that a folder lacks, and does not skip', async () => {
    await put('data', ADULT, 'adult.data')
    vi.stubEnv('FT_DATA_DIR', join(folder, 'data'))
    expect(() => locate(ADULT)).toThrow('must hold adult.test or adult.test.gz')
    expect(() => requireData(ADULT)).toThrow('must hold adult.test')
  })

  it('refuses names that are not in the catalogue, and files that a set has not', async () => {
    expect(() => locate('toString' as SetName)).toThrow(/`name` must be one of 'mnist'/)
    await put('cache', 'ft-datasets', 'silero-vad', 'silero_vad_v5.onnx')
    expect(() => locate('silero-vad').path('other')).toThrow(/`file` must be one of 'silero_vad_v5.onnx'/)
  })
})

describe('requireData', () => {
  it('gives the set, a reason to skip, or throws when data are required', async () => {
    const { set, skip } = requireData('mnist')
    expect(set).toBeUndefined()
    expect(skip).toContain("mnist is not on this machine; call download('mnist') or put it in FT_DATA_DIR/mnist")
    expect(requireData('cifar-10').skip).toMatch(/; put it in FT_DATA_DIR\/cifar-10/)

    vi.stubEnv('FT_REQUIRE', 'browser, data')
    expect(() => requireData('mnist')).toThrow(expect.toSatisfy((e) => isFtError(e, 'IO')))
    vi.stubEnv('FT_REQUIRE', 'browser,database')
    expect(requireData('mnist').skip).toBeDefined()

    await put('cache', 'ft-datasets', 'silero-vad', 'silero_vad_v5.onnx')
    expect(requireData('silero-vad')).toMatchObject({ set: { name: 'silero-vad' }, skip: undefined })
  })
})
