// A worker's side alone, on a server that answers what it is told to.
import { expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createClient } from '../src/client.ts'
import type { Message } from '../src/shard/messages.ts'
import { resolveSpec } from '../src/shard/spec.ts'

const spec = resolveSpec({
  k: 1,
  r: 0,
  servers: 1,
  d: 2,
  ranges: [{ rows: 4, scale: 1 }],
  optimizer: { name: 'sgd', learningRate: 0.1 },
  seed: 0,
  acknowledgement: 'sync',
  logBytes: 1024,
})

it('two updates are under way to a server at most, and are said again in their order', async () => {
  const sent: Message[] = []
  const client = createClient({ spec, send: (_, message) => void sent.push(message) })
  const said = (): (number | string)[] => sent.splice(0).map((one) => ('id' in one ? one.id : one.type))
  const pushes = [0, 1, 2].map((id) => client.push(Uint32Array.of(id), new Float32Array(2)))
  expect(said()).toEqual([1, 2])
  client.renewed(0)
  expect(said()).toEqual([1, 2])
  // The third would make servers forget whether they have the first.
  client.receive(0, { type: 'pushed', id: 2, rejected: 0 })
  expect(said()).toEqual([])
  client.receive(0, { type: 'pushed', id: 1, rejected: 0 })
  expect(said()).toEqual([3])
  client.renewed(0)
  expect(said()).toEqual([3])
  client.receive(0, { type: 'pushed', id: 3, rejected: 0 })
  await Promise.all(pushes)
  expect(said()).toEqual([])
})

it('an update that a server refuses rejects, and the ones after it go on', async () => {
  const sent: Message[] = []
  const client = createClient({ spec, send: (_, message) => void sent.push(message) })
  const [first, second] = [0, 1].map((id) => client.write(Uint32Array.of(id), new Uint32Array(2), new Uint32Array(1)))
  client.receive(0, { type: 'pushed', id: 1, rejected: 1 })
  await expect(first).rejects.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT'))
  client.receive(0, { type: 'pushed', id: 2, rejected: 0 })
  await second
  expect(sent.map(({ type }) => type)).toEqual(['write', 'write'])
})
