// Real processes ended by SIGKILL at every boundary between two messages that a worker can see, pairwise with every
// optimizer, k and r: the bits are those of a store that never failed.
import { expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../../src/index.ts'
import { optimizerNames, type OptimizerName } from '../../src/shard/optimizers.ts'

/** When, within a step: nothing under way; a pull, a push unanswered; the push answered; a pull behind an unanswered push. */
const boundaries = ['between', 'pulling', 'pulled', 'pushing', 'pushed', 'both'] as const
type Boundary = (typeof boundaries)[number]

interface Case {
  readonly optimizer: OptimizerName
  readonly boundary: Boundary
  readonly k: number
  readonly r: number
}

/** Every optimizer meets every boundary; k and r run so that every pair of values of any two of the four is there. */
const cases: Case[] = optimizerNames.flatMap((optimizer, i) =>
  boundaries.map((boundary, j) => ({
    optimizer,
    boundary,
    k: [2, 4][(i + j) % 2]!,
    r: [1, 2, 3][(i + (j >> 1)) % 3]!,
  })),
)
/** Five in every run, each of another optimizer and boundary; all by `test:crash`. */
const chosen = process.env['MODE'] === 'crash' ? cases : cases.filter((_, at) => at % 7 === 0)

const rows = 200
const d = 4
const steps = 12
const kills: Readonly<Record<number, number>> = { 3: 1, 7: 0 }

async function play(store: ShardStore, boundary: Boundary | undefined, seed: number): Promise<void> {
  const random = createRandom(seed)
  for (let step = 0; step < steps; step++) {
    const ids = random.sample(rows, 40)
    const gradients = random.fillNormal(new Float32Array(ids.length * d))
    const server = boundary === undefined ? undefined : kills[step]
    const at = (here: Boundary): void => {
      if (server !== undefined && here === boundary) store.kill(server)
    }
    at('between')
    const pulling = store.pull(ids)
    at('pulling')
    await pulling
    at('pulled')
    const pushing = store.push(ids, gradients)
    at('pushing')
    if (boundary === 'both') {
      const behind = store.pull(ids)
      at('both')
      await behind
    }
    await pushing
    at('pushed')
    // A second death before the first is made good would be one too many for r = 1.
    if (server !== undefined) {
      const deaths = Object.keys(kills).filter((one) => Number(one) <= step).length
      for (let waits = 0; waits < 5_000 && store.replacements < deaths; waits++)
        await new Promise((resolve) => setTimeout(resolve, 2))
      expect(await store.recovered()).toEqual([])
    }
  }
}

it('every pair of values of two factors is among the cases', () => {
  const values = { optimizer: optimizerNames, boundary: boundaries, k: [2, 4], r: [1, 2, 3] } as const
  const names = Object.keys(values) as (keyof Case)[]
  for (const a of names)
    for (const b of names)
      for (const x of values[a])
        for (const y of values[b])
          if (a < b)
            expect(
              cases.some((one) => one[a] === x && one[b] === y),
              `${a} ${x}, ${b} ${y}`,
            ).toBe(true)
})

it.each(chosen)('$optimizer, k = $k, r = $r, killed $boundary: the bits of a calm run', async (one) => {
  const { optimizer: name, boundary, k, r } = one
  const seed = cases.indexOf(one) + 1
  const options: ShardOptions = { tables: [{ rows }], d, k, r, optimizer: { name, learningRate: 0.05 }, seed }
  const [calm, store] = await Promise.all([openShards({ ...options, where: 'memory' }), openShards(options)])
  try {
    await play(calm, undefined, seed)
    await play(store, boundary, seed)
    expect(store.replacements).toBe(2)
    expect(await store.snapshot()).toEqual(await calm.snapshot())
    expect((await store.scrub()).corrupt).toEqual([])
  } finally {
    await Promise.all([calm.close(), store.close()])
  }
})
