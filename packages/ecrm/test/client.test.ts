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
