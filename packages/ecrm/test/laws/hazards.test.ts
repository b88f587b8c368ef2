// The seven hazards of decoding under updates (src/shard/remedies.ts): each is met and does no harm; with its remedy taken
// out, it does. Then schedules that were once decoded wrongly, written out.
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import type { MessageOf } from '../../src/shard/messages.ts'
import { resolveSpec, type ShardSpec } from '../../src/shard/spec.ts'
import { interleave, type Interleaving } from '../support/interleave.ts'
import { lockstep, type Said } from '../support/lockstep.ts'

/** Schedules of `how` that leave anything wrong, of 400. */
function harmed(partial: Partial<ShardSpec>, how: Interleaving): number {
  const spec = resolveSpec({
    k: 2,
    r: 1,
    servers: 3,
    d: 1,
    ranges: [{ rows: 8, scale: 1 }],
    optimizer: { name: 'sgd', learningRate: 1 },
    seed: 1,
    acknowledgement: 'sync',
    logBytes: 1 << 20,
    ...partial,
  })
  const random = createRandom(7)
  let count = 0
  for (let schedule = 0; schedule < 400; schedule++) {
    const chance = random.stream('schedule', schedule)
    const { wrong, broken, unrecoverable, stuck } = interleave(spec, chance, { ...how, fast: schedule % 4 === 0 })
    if (wrong + broken + unrecoverable > 0 || stuck) count++
  }
  return count
}

const double = { r: 2, servers: 4 }
const twice = { workers: 2, crashes: 2, atOnce: 2 }

describe('over random schedules', () => {
  it('H1: a push answered before its parity has it is lost; an acknowledged one is not', () => {
    expect(harmed({}, { workers: 2 })).toBe(0)
    expect(harmed({ acknowledgement: 'async' }, { workers: 2 })).toBeGreaterThan(0)
  })

  it('H2: a push said again after a crash counts once, by the tags', () => {
    expect(harmed({}, { pushes: 10 })).toBe(0)
    expect(harmed({}, { pushes: 10, without: 'tags' })).toBeGreaterThan(0)
  })

  it('H3: a decode waits for differences in flight, by the versions', () => {
    expect(harmed({ servers: 4 }, { workers: 2, pushes: 12 })).toBe(0)
    expect(harmed({ servers: 4 }, { workers: 2, pushes: 12, without: 'versions' })).toBeGreaterThan(0)
  })

  it('H4: two parities are brought to one version before two rows are decoded', () => {
    expect(harmed(double, twice)).toBe(0)
    expect(harmed(double, { ...twice, without: 'versions' })).toBeGreaterThan(0)
  })

  it('H5: differences wait for a parity row that is being encoded', () => {
    expect(harmed({}, { pushes: 12 })).toBe(0)
    expect(harmed({}, { pushes: 12, without: 'holding' })).toBeGreaterThan(0)
  })

  it('H7: a difference that arrives twice is added once, by the versions', () => {
    const calm = { crashes: 0, reconnects: true, pushes: 12 }
    expect(harmed({}, calm)).toBe(0)
    expect(harmed({}, { ...calm, without: 'versions' })).toBeGreaterThan(0)
  })
})

it('H6: values and state come back from the same update, as they travel in one message', () => {
  const states = [0, 1, 2].map((updates) => {
    const net = lockstep({ optimizer: { name: 'momentum', learningRate: 1 } })
    for (let id = 1; id <= updates; id++) net.push(0, id, [0])
    net.run()
    return Array.from(net.shards[0]!.storage.dataRow(0))
  })
  /** Server 0 dies when `split` has passed on the first half of its second difference, or the whole of it. */
  function recovered(split: boolean): number[] {
    const net = lockstep({ optimizer: { name: 'momentum', learningRate: 1 } })
    net.push(0, 1, [0])
    net.run()
    net.push(0, 2, [0])
    const at = net.said.findIndex(({ message }) => message.type === 'deltas')
    const one = net.said[at]!
    const message = one.message as MessageOf<'deltas'>
    const words = Uint32Array.from(message.words, (word, i) => (i % net.spec.width < net.spec.d ? word : 0))
    net.pass(split ? { ...one, message: { ...message, words } } : one)
    net.said = []
    net.crash(0)
    net.announce()
    expect(net.recover()).toBe(true)
    return Array.from(net.shards[0]!.storage.dataRow(0))
  }
  expect(recovered(false)).toEqual(states[2])
  expect(states).not.toContainEqual(recovered(true))
})

describe('schedules written out', () => {
  /** The stripe of server 0's first row and the servers of its stripe. */
  function places(net: ReturnType<typeof lockstep>) {
    const { layout, k, r } = net.spec
    const { stripe, position } = layout.dataPlace(0, 0)
    const server = (at: number): number => layout.serverOf({ stripe, position: at })
    return { stripe, position, server, parities: Array.from({ length: r }, (_, j) => server(k + j)) }
  }
  const deltasTo =
    (peer: number) =>
    ({ to, message }: Said): boolean =>
      to === peer && message.type === 'deltas'

  it('a parity row encoded before an update does not claim its push, though the other parity contains it', () => {
    const net = lockstep({ r: 2, servers: 4 })
    const { parities } = places(net)
    const [p, q] = parities as [number, number]
    // Q dies, comes back and reads the data row; then an update reaches P alone; then P answers Q.
    net.crash(q)
    net.announce()
    net.shards[q]!.step(64)
    const slow = ({ from, message }: Said): boolean => from === p && message.type === 'stripes'
    const question = ({ to, message }: Said): boolean => to === p && message.type === 'read'
    net.run((one) => !question(one) && !slow(one))
    net.push(0, 1, [0])
    net.run(deltasTo(p))
    net.run((one) => !deltasTo(q)(one))
    // Its difference to Q is cut off, and P is lost with its sender.
    net.said = []
    net.crash(0)
    net.crash(p)
    net.announce()
    expect(net.recover()).toBe(true)
    net.push(0, 1, [0])
    net.run()
    expect(net.shards[0]!.storage.versions[0]).toBe(1)
    expect(net.answers.at(-1)).toMatchObject({ type: 'pushed', id: 1 })
  })

  it('an answer to a server that died does not settle what its replacement sent', () => {
    const net = lockstep({})
    const [p] = places(net).parities as [number]
    net.push(0, 1, [0])
    // P takes the difference of the first life after the second began; its answer reaches the second.
    const old = net.said.find(deltasTo(p))!
    net.said = []
    net.crash(0)
    net.pass(old)
    const late = net.said.splice(0)
    net.announce()
    expect(net.recover()).toBe(true)
    net.push(0, 2, [0])
    const before = net.answers.length
    for (const one of late) net.pass(one)
    expect(late.some(({ message }) => message.type === 'acked')).toBe(true)
    net.run(({ to }) => to >= net.spec.layout.servers)
    expect(net.answers.slice(before)).toEqual([])
    net.run()
    expect(net.answers.slice(before)).toMatchObject([{ type: 'pushed', id: 2 }])
  })

  it('what a server was told before its death is not taken for an answer to its replacement', () => {
    const net = lockstep({})
    const { parities } = places(net)
    const [p] = parities as [number]
    // The second life asks P, P answers, the second life dies; the third asks with the same number.
    net.crash(0)
    net.announce()
    net.shards[0]!.step(64)
    net.run(({ to, message }) => to === p && message.type === 'read')
    const stale = net.said.filter(({ from, message }) => from === p && message.type === 'stripes')
    expect(stale).toHaveLength(1)
    net.said = []
    net.crash(0)
    net.announce()
    net.shards[0]!.step(64)
    const questions = net.said.splice(0)
    for (const one of stale) net.pass(one)
    // Everyone but P answers: the row must still wait for P.
    for (const one of questions) if (one.to !== p) net.pass(one)
    net.run()
    expect(net.shards[0]!.storage.missing).toBe(net.spec.layout.dataRows + net.spec.layout.parityRows)
    for (const one of questions) if (one.to === p) net.pass(one)
    expect(net.recover()).toBe(true)
  })

  it('a parity row encoded after an update that the other parity lacks keeps the difference', () => {
    const net = lockstep({ r: 2, servers: 5 })
    const { parities, server, position } = places(net)
    const [p, q] = parities as [number, number]
    const mate = server(1 - position)
    // The update is applied; neither parity has it; Q dies and is encoded with it.
    net.push(0, 1, [0])
    const kept = net.said.filter(deltasTo(p))
    net.said = net.said.filter((one) => !deltasTo(p)(one) && !deltasTo(q)(one))
    net.crash(q)
    net.announce()
    // What Q is sent again finds its row lost, and is dropped. P gets the difference late: for now it waits.
    net.run((one) => deltasTo(q)(one))
    for (let round = 0; round < 20 && net.shards[q]!.storage.missing > 0; round++) {
      net.shards[q]!.step(64)
      net.run((one) => !deltasTo(p)(one))
    }
    expect(net.shards[q]!.storage.missing).toBe(0)
    expect(kept).toHaveLength(1)
    net.said = []
    // The update's server and its mate die: P is without the update, Q with it.
    net.crash(0)
    net.crash(mate)
    net.announce()
    expect(net.recover()).toBe(true)
    expect(net.shards[0]!.storage.versions[0]).toBe(1)
  })
})
