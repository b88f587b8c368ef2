// What inputs a parity model or a learned code was trained on is recorded with it, and a gateway that would encode from other
// ones refuses it.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  createGateway,
  createModelRunner,
  deadlineOnly,
  learned,
  readLearnedCode,
  readModelFolder,
  sum,
  trainLearnedCode,
  trainParityModel,
  writeLearnedCode,
  writeModelFolder,
  type DenseLayer,
  type Gateway,
  type Preprocessings,
} from '../src/index.ts'
import { buildWorker } from './support/worker.ts'

const random = createRandom(3)
const normal = (name: string, shape: number[]) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1))),
  shape,
  dtype: 'float32' as const,
})
const base: DenseLayer[] = [{ weights: normal('w', [6, 3]), bias: normal('b', [3]), relu: false }]
const inputs = normal('x', [400, 6])
const outputs = createModelRunner(base)(inputs).data
const labels = Array.from({ length: 400 }, (_, i) => {
  const row = outputs.subarray(3 * i, 3 * i + 3)
  return row.indexOf(Math.max(...row))
})
const settings = { seed: 1, epochs: 1, groupsPerBatch: 16, validationSamples: 100 }
const scaled: Preprocessings = { input: { scale: 1 / 255, offset: -0.5 } }
const byChannel: Preprocessings = { input: { scale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] } }

let built: Awaited<ReturnType<typeof buildWorker>>
beforeAll(async () => {
  built = await buildWorker()
  await writeModelFolder(join(built.folder, 'base'), { layers: base })
})
afterAll(() => built.remove())

const open: Gateway[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

const worker = (folder: string) => ({ worker: { folder: join(built.folder, folder) }, workerFile: built.workerFile })

async function serve(o: { preprocessing?: Preprocessings; parity: string }): Promise<void> {
  const { preprocessing, parity } = o
  open.push(
    await createGateway({
      model: 'm',
      code: sum({ k: 2 }),
      policy: deadlineOnly(),
      instances: [worker('base')],
      parityInstances: [worker(parity)],
      ...(preprocessing ? { preprocessing } : {}),
    }),
  )
}

async function trained(folder: string, preprocessing: Preprocessings | undefined) {
  const said = preprocessing === undefined ? {} : { preprocessing }
  const parity = await trainParityModel({ base, code: sum({ k: 2 }), inputs, labels, ...said }, settings)
  await writeModelFolder(join(built.folder, folder), parity)
  return parity.parity
}

describe('a parity model', () => {
  it.each([
    ['scaled', scaled],
    ['by channel', byChannel],
    ['as they came', {}],
  ])('trained on inputs %s is served behind a gateway that encodes from such, and no other', async (name, one) => {
    const folder = `parity ${name}`
    expect((await trained(folder, one)).preprocessing).toEqual(one)
    expect((await readModelFolder(join(built.folder, folder))).manifest.parity?.preprocessing).toEqual(one)
    await serve({ parity: folder, preprocessing: one })
    for (const other of [scaled, byChannel, {}])
      if (JSON.stringify(other) !== JSON.stringify(one))
        await expect(serve({ parity: folder, preprocessing: other })).rejects.toMatchObject({
          code: 'FINGERPRINT_MISMATCH',
          message: expect.stringContaining('`preprocessing`') as string,
        })
  })

  it('is taken for the same whatever defaults are written out, and in any order', async () => {
    await trained('same', { input: { scale: 2, mean: [0.5], std: [1] } })
    await serve({ parity: 'same', preprocessing: { input: { mean: [0.5], std: [1], layout: 'HWC', scale: 2 } } })
    await trained('plain', { input: { scale: 1 } })
    await serve({ parity: 'plain' })
    await serve({ parity: 'plain', preprocessing: { input: { mean: [0], std: [1] } } })
  })

  it('that does not say is taken at its word', async () => {
    expect(await trained('silent', undefined)).not.toHaveProperty('preprocessing')
    await serve({ parity: 'silent', preprocessing: scaled })
  })

  it.each([
    [3],
    [{ input: 3 }],
    [{ input: { scale: 'x' } }],
    [{ input: { mean: [1] } }],
    [{ input: { mean: 1, std: 1 } }],
    [{ input: { scales: 1 } }],
  ])('with %j for a preprocessing is no model folder', async (preprocessing) => {
    await trained('damaged', scaled)
    const file = join(built.folder, 'damaged', 'ft-model.json')
    const manifest = JSON.parse(await readFile(file, 'utf8')) as { parity: object }
    await writeFile(file, JSON.stringify({ ...manifest, parity: { ...manifest.parity, preprocessing } }))
    await expect(readModelFolder(join(built.folder, 'damaged'))).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
  })
})

describe('a learned code', () => {
  it('keeps what it was trained on, and is refused where the deployed model would do it again', async () => {
    const start = async (preprocessing: Preprocessings) => {
      const code = await trainLearnedCode({ base, k: 2, inputs, labels, preprocessing }, settings)
      const folder = join(built.folder, 'code')
      await writeLearnedCode(folder, code)
      const saved = await readLearnedCode(folder)
      expect(saved.preprocessing).toEqual(preprocessing)
      open.push(
        await createGateway({ model: 'm', code: learned(saved), policy: deadlineOnly(), instances: [worker('base')] }),
      )
    }
    await start({})
    await expect(start(scaled)).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
  })
})
