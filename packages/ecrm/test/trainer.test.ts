// A trainer that dies: what shards keep for it, and the next one that goes on from there as if nothing had happened.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { openShards, serveShards, train, type ShardOptions, type ShardStore, type TrainOptions } from '../src/index.ts'
import { packVersion, unpackVersion } from '../src/keptVersion.ts'
import { dial } from '../src/network/address.ts'
import { findRun } from '../src/network/attach.ts'
import { carryMessages } from '../src/network/connection.ts'
import { passer, protocol } from '../src/network/refusals.ts'
import { runWords, tokenWords } from '../src/network/remote.ts'
import { createKeeping } from '../src/shard/keeping.ts'
import { nobody, type Message, type MessageOf } from '../src/shard/messages.ts'
import { packText } from '../src/shard/text.ts'
import { plantedSamples } from './support/made.ts'
import { base, places, pushes, token } from './support/stores.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
let after: (() => unknown)[] = []
afterEach(async () => {
  for (const end of after.toReversed()) await end()
  after = []
})
const data = plantedSamples(1_000, 1)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
async function start(options: Partial<ShardOptions>): Promise<ShardStore> {
  const store = await openShards({ tables, d: 4, k: 2, servers: 3, optimizer, ...options })
  after.push(() => store.close())
  return store
}
async function hosts(count: number): Promise<{ shards: string[]; all: { close(): Promise<void> }[] }> {
  const all = await Promise.all(Array.from({ length: count }, () => serveShards({ listen: '127.0.0.1:0', token })))
  for (const one of all) after.push(() => one.close())
  return { shards: all.map(({ address }) => address), all }
}
const training = (store: ShardStore, options: Partial<TrainOptions> = {}) =>
  train(data, { store, batch: 10, seed: 5, ...options })

/** What a run leaves behind that never failed. */
let calm: Promise<unknown> | undefined
const bitsOf = async (store: ShardStore, { model }: Awaited<ReturnType<typeof training>>) => ({
  parameters: model.parameters,
  state: model.state,
  rows: await store.snapshot(),
})
const twin = () => {
  const run = async () => {
    const store = await openShards({ tables, d: 4, k: 2, servers: 3, optimizer, where: 'memory' })
    const bits = await bitsOf(store, await training(store))
    await store.close()
    return bits
  }
  return (calm ??= run())
}
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength)
/** A line to a shard on which anything can be said in a run. */
function lineTo(address: string, name: string, { node, epoch }: { node: number; epoch: number }) {
  const heard: Message[] = []
  const socket = dial(address, undefined)
  after.push(() => socket.destroy())
  const { send } = carryMessages(socket, { message: (message) => heard.push(message), closed: () => undefined })
  const who = { protocol, node, incarnation: 1, epoch, token: tokenWords(token), run: runWords(name) }
  send({ type: 'hello', ...who, address: new Uint32Array(0) })
  return { send, heard, socket }
}
/** The part that a shard has in a run. */
async function partAt(address: string, name: string) {
  const { send, heard, socket } = lineTo(address, name, { node: passer, epoch: 2 ** 32 - 1 })
  const gone = new Promise((resolve) => socket.once('close', resolve))
  send({ type: 'attach', epoch: 0 })
  await Promise.race([gone, expect.poll(() => heard.length, { timeout: 5_000 }).toBeGreaterThan(0)])
  socket.destroy()
  const part = heard[0] as MessageOf<'attached'> | undefined
  return part === undefined || part.server === nobody ? undefined : part
}
const dies = new Error('the trainer dies')

describe.each(places)('shards in $name', (place) => {
  afterAll(() => place.close())

  it('keep the newest version, whichever of its holders die, or say that they do not', async () => {
    const { store } = await place.open()
    after.push(() => store.close())
    if (place.name.startsWith('Redis nodes')) {
      await expect(store.keep({ step: 1, arrays: [] })).rejects.toThrow(fails('UNSUPPORTED'))
      await expect(store.kept()).rejects.toThrow(fails('UNSUPPORTED'))
      return
    }
    expect(await store.kept()).toBeUndefined()
    // More than one message takes.
    const array = Float32Array.from({ length: 700_000 }, (_, i) => i)
    for (const step of [1, 2]) {
      array[0] = step
      await store.keep({ step, arrays: [array, Float32Array.of(step)], about: 'a test' })
    }
    // One after the other; nobody reads in between, which would bring it to all of them again.
    for (const servers of [[0, 1], [0]]) {
      for (const server of servers) {
        store.kill(server)
        expect(await store.recovered()).toEqual([])
      }
      const version = (await store.kept())!
      expect(version).toMatchObject({ step: 2, about: 'a test' })
      const [first, ...others] = version.arrays
      expect(Buffer.compare(bytesOf(first!), bytesOf(array))).toBe(0)
      expect(others).toEqual([Float32Array.of(2)])
    }
    // Whoever stops between a version and its push: whoever takes it up has the push applied, once.
    const push = { ids: Uint32Array.of(3, 70), gradients: new Float32Array(16).fill(1) }
    await pushes(store, 3)
    await store.keep({ step: 3, arrays: [], push })
    for (let time = 0; time < 2; time++) expect((await store.kept())!.push).toEqual(push)
    // Read once more when there were others since: those after it count, too.
    await pushes(store, 3)
    await store.kept()
    await pushes(store, 3)
    const other = await openShards({ ...base, where: 'memory' })
    await pushes(other, 3)
    await other.push(push.ids, push.gradients)
    for (let time = 0; time < 2; time++) await pushes(other, 3)
    expect(await store.snapshot()).toEqual(await other.snapshot())
    await other.close()
  })
})

it('of a version that has not arrived whole, the one before is the newest', () => {
  const keeping = createKeeping()
  const words = Uint32Array.of(1, 2, 3, 4)
  const piece = (version: number, at: number, end: number) =>
    keeping.keep({ type: 'keep', id: 1, version, at, total: 4, words: words.subarray(at, end) })
  const newest = () => keeping.recall({ type: 'recall', id: 1, at: 0, most: 10 })
  expect(newest()).toMatchObject({ version: 0, total: 0 })
  expect(piece(1, 0, 4)).toMatchObject({ version: 1 })
  words.fill(9)
  expect(piece(2, 0, 3)).toMatchObject({ version: 1 })
  // The rest of another, and what comes late.
  expect(piece(3, 3, 4)).toMatchObject({ version: 1 })
  expect(newest()).toMatchObject({ version: 1, words: Uint32Array.of(1, 2, 3, 4) })
  expect(piece(2, 3, 4)).toMatchObject({ version: 2 })
  expect(piece(1, 0, 4)).toMatchObject({ version: 2 })
  expect(newest()).toMatchObject({ version: 2, words: Uint32Array.of(9, 9, 9, 9) })
  expect(() => piece(3, 0, 5)).not.toThrow()
  expect(() => keeping.keep({ type: 'keep', id: 1, version: 4, at: 2, total: 3, words })).toThrow(fails('CORRUPT_DATA'))
})

it('a version with a changed bit is none', () => {
  const version = {
    step: 4,
    arrays: [Float32Array.of(1, 2)],
    push: { ids: Uint32Array.of(1), gradients: new Float32Array(2) },
  }
  const words = packVersion(version, 2, [5, 6])
  expect(unpackVersion(words, 2)).toEqual({ ...version, about: '', numbers: [5, 6] })
  for (let i = 0; i < words.length; i++) {
    const changed = words.slice()
    changed[i]! ^= 1 << (i % 32)
    expect(unpackVersion(changed, 2)).toBeUndefined()
  }
})

it.each([
  ['after a step', false, 'encode'],
  ['between a version and its push', true, 'encode'],
  ['after a step', false, 'replicate'],
  ['between a version and its push', true, 'replicate'],
] as const)('a training that ended %s goes on with the same bits (%s, %s)', async (_, cut, protection) => {
  const store = await start({ where: 'memory', tables: [{ ...tables[0]!, protection }, tables[1]!] })
  let count = 0
  const value = (...given: Parameters<ShardStore['push']>): Promise<void> =>
    cut && count++ > 40 ? Promise.reject(dies) : store.push(...given)
  const failing = Object.create(store, { push: { value } }) as ShardStore
  const onStep = ({ step }: { step: number }): void => {
    if (step === 60) throw dies
  }
  await expect(training(failing, { replicateEvery: 1, onStep })).rejects.toBe(dies)
  const rest = await training(store, { replicateEvery: 1, resume: true })
  expect(rest.history[0]!.step).toBe(cut ? 42 : 61)
  expect(await bitsOf(store, rest)).toEqual(await twin())
})

it('the next trainer takes a run up, a shard that died meanwhile is replaced, and the trainer before is cut off', async () => {
  const { shards, all } = await hosts(5)
  const named = { shards, token, name: 'run', servers: 3 }
  await expect(start({ ...named, resume: true })).rejects.toThrow(/none of the shards has a part/)
  const first = await start(named)
  expect(first.lasting).toBe(true)
  await expect(first.addServer()).rejects.toThrow(fails('UNSUPPORTED'))
  const onStep = ({ step }: { step: number }): void => {
    if (step === 50) throw dies
  }
  await expect(training(first, { onStep })).rejects.toBe(dies)
  await expect(start(named)).rejects.toThrow(/has a part in a run of this name already/)
  await expect(start({ ...named, d: 8, resume: true })).rejects.toThrow(/other tables or options/)
  const second = await start({ ...named, resume: true })
  await expect(first.push(Uint32Array.of(1), new Float32Array(4).fill(1))).rejects.toThrow(fails('ABORTED'))
  await expect(training(second, { batch: 20, resume: true })).rejects.toThrow(/the same data and options/)
  const others = train(plantedSamples(1_000, 2), { store: second, batch: 10, seed: 5, resume: true })
  await expect(others).rejects.toThrow(/the same data and options/)
  await expect(
    training(second, { resume: true, onStep: ({ step }) => step < 70 || Promise.reject(dies) }),
  ).rejects.toBe(dies)
  await all[1]!.close()
  const third = await start({ ...named, resume: true })
  const rest = await training(third, { resume: true })
  expect(rest.history[0]!.step).toBe(71)
  expect(await third.recovered()).toEqual([])
  expect(await bitsOf(third, rest)).toEqual(await twin())
  // A run that has ended is not there for anybody.
  await third.close()
  await expect(start({ ...named, resume: true })).rejects.toThrow(/none of the shards has a part/)
})

it('a server that an earlier trainer puts in the place of one is not taken for the later one', async () => {
  const { shards, all } = await hosts(7)
  const named = { shards, token, name: 'late', servers: 3 }
  const until = (last: number) => ({
    onStep: ({ step }: { step: number }) => (step === last ? Promise.reject(dies) : undefined),
  })
  await expect(training(await start(named), until(30))).rejects.toBe(dies)
  // It has no other place than that of the fourth.
  const second = await start({ ...named, shards: shards.slice(0, 4), resume: true })
  await all[1]!.close()
  await expect.poll(() => second.replacements).toBe(1)
  expect(await second.recovered()).toEqual([])
  const parts = () => Promise.all(shards.map((address) => partAt(address, named.name)))
  const before = await parts()
  expect(before.map((part) => part?.server)).toEqual([0, undefined, 2, 1, undefined, undefined, undefined])

  // What the first trainer said to two shards that stood by, before it was cut off, arrives now; one hears of the other servers.
  const addresses = [shards[0]!, '', shards[2]!]
  const [spec, node] = [before[0]!.spec, 3]
  for (const [index, told] of [
    [4, addresses],
    [5, []],
  ] as const) {
    const { send } = lineTo(shards[index]!, named.name, { node, epoch: 1 })
    send({ type: 'start', server: 1, incarnation: 2, lost: 0, linger: 60_000, spec, address: packText(shards[index]!) })
    send({ type: 'members', incarnations: Uint32Array.of(1, 0, 1), addresses: packText(JSON.stringify(told)) })
  }
  await expect.poll(async () => (await parts())[5]?.server).toBe(1)
  // Whoever hears that another has its place, ends.
  await expect.poll(async () => (await parts())[4]).toBeUndefined()

  await expect(training(second, { resume: true, ...until(60) })).rejects.toBe(dies)
  await all[3]!.close()
  const how = { run: runWords(named.name), token: tokenWords(token), addresses: shards, patience: 5_000 }
  const found = await findRun({ ...how, dial: (address) => dial(address, undefined) })
  expect(found!.servers.map((server) => server?.address)).toEqual([shards[0], undefined, shards[2]])
  const third = await start({ ...named, resume: true })
  const rest = await training(third, { resume: true })
  expect(rest.history[0]!.step).toBe(61)
  expect(await third.recovered()).toEqual([])
  expect(await bitsOf(third, rest)).toEqual(await twin())
})

it('of a run that kept no version, tables of its trainer start over and are told as lost; of one that did, they are there', async () => {
  const { shards } = await hosts(3)
  const near = [tables[0]!, { ...tables[1]!, protection: 'replicate' as const }]
  const named = { shards, token, name: 'near', servers: 3, tables: near }
  const all = Uint32Array.from({ length: 65 }, (_, id) => id)
  const first = await start(named)
  const fresh = await first.pull(all)
  await first.push(all, new Float32Array(65 * 4).fill(1))
  const pushed = await first.pull(all)
  const second = await start({ ...named, resume: true })
  expect(await second.recovered()).toEqual(Array.from({ length: 25 }, (_, i) => 40 + i))
  expect(await second.pull(all)).toEqual(Float32Array.of(...pushed.subarray(0, 160), ...fresh.subarray(160)))
  // A version of rows that one push changed, and that one behind it.
  await second.keep({ step: 1, arrays: [], push: { ids: all, gradients: new Float32Array(65 * 4).fill(1) } })
  const third = await start({ ...named, resume: true })
  expect(await third.recovered()).toEqual([])
  const rows = await third.pull(all)
  expect(rows.subarray(160)).toEqual(pushed.subarray(160))
  expect(rows.subarray(0, 160)).not.toEqual(pushed.subarray(0, 160))
})

it('a server that was given up ends, though its run outlives trainers', async () => {
  const { shards } = await hosts(4)
  const store = await start({ shards, token, name: 'given-up', servers: 3 })
  store.kill(1)
  expect(await store.recovered()).toEqual([])
  expect((await partAt(shards[3]!, 'given-up'))?.server).toBe(1)
  await expect.poll(() => partAt(shards[1]!, 'given-up')).toBeUndefined()
})

it('a run that ends while a server is replaced leaves nothing behind', async () => {
  const { shards } = await hosts(4)
  const store = await start({ shards, token, name: 'short', servers: 3 })
  store.kill(1)
  await store.close()
  const parts = () => Promise.all(shards.map((address) => partAt(address, 'short')))
  await expect.poll(parts).toEqual([undefined, undefined, undefined, undefined])
})

it.each([
  ['its tables at the shards', tables],
  ['one of them with the trainer', [tables[0]!, { ...tables[1]!, protection: 'replicate' as const }]],
])('a trainer that is killed, %s, is followed by one that ends with the same bits', async (_, tables) => {
  const { shards } = await hosts(4)
  const named = { shards, token, name: 'killed', servers: 3, tables }
  const tsup = createRequire(import.meta.url).resolve('tsup')
  const { build } = createRequire(tsup)('esbuild') as {
    build(options: object): Promise<{ outputFiles: { text: string }[] }>
  }
  const { outputFiles } = await build({
    entryPoints: [new URL('support/trainerProcess.ts', import.meta.url).pathname],
    ...{ bundle: true, write: false, format: 'esm', platform: 'node', target: 'es2022', conditions: ['ft-source'] },
  })
  const child = spawn(process.execPath, ['--input-type=module', '-', JSON.stringify(named)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  after.push(() => child.kill('SIGKILL'))
  const ended = new Promise<string | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)))
  child.stdin.end(outputFiles[0]!.text)
  // Killed at whatever moment of a step after the thirtieth it then is.
  for await (const lines of child.stdout.setEncoding('utf8')) {
    if (Math.max(...String(lines).trim().split('\n').map(Number)) < 30) continue
    child.kill('SIGKILL')
    break
  }
  expect(await ended).toBe('SIGKILL')
  const store = await start({ ...named, resume: true })
  const rest = await training(store, { resume: true })
  expect(rest.history[0]!.step).toBeGreaterThan(30)
  expect(rest.history.at(-1)!.step).toBe(99)
  expect(await bitsOf(store, rest)).toEqual(await twin())
})

it('what a trainer pushes after the one before pushed more than its version tells counts', async () => {
  const { shards } = await hosts(3)
  const named = { shards, token, name: 'behind', servers: 3 }
  const onStep = ({ step }: { step: number }): void => {
    if (step === 38) throw dies
  }
  const twice = async (first: ShardStore, next: () => Promise<ShardStore>) => {
    await expect(training(first, { replicateEvery: 8, onStep })).rejects.toBe(dies)
    const store = await next()
    const rest = await training(store, { replicateEvery: 8, resume: true })
    expect(rest.history[0]!.step).toBe(32)
    return bitsOf(store, rest)
  }
  const one = await start({ where: 'memory' })
  const bits = await twice(one, () => Promise.resolve(one))
  expect(await twice(await start(named), () => start({ ...named, resume: true }))).toEqual(bits)
})

it('versions every few steps follow the training, and it goes on from the latest', async () => {
  const store = await start({ where: 'memory' })
  await training(store, { replicateEvery: 8, until: 30 })
  const rest = await training(store, { replicateEvery: 8, resume: true })
  expect(rest.history[0]!.step).toBe(24)
  expect(rest.history.at(-1)!.step).toBe(99)
  await expect(training(store, { resume: true, from: 3 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(training(store, { replicateEvery: -1 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
})
