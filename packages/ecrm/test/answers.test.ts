// Whether differences ask for an answer at once: when somebody waits for it.
import { expect, it } from 'vitest'
import type { Message } from '../src/shard/messages.ts'
import { createShard } from '../src/shard/shard.ts'
import { resolveSpec } from '../src/shard/spec.ts'
import { defaultSpec } from './support/scheduled.ts'

/** Whether the differences of a push say that they are waited for, in a log of so many bytes. */
function asked(pushesNext: number, logBytes: number): (number | undefined)[] {
  const spec = resolveSpec({ ...defaultSpec, logBytes })
  const sent: Message[] = []
  const send = (_: number, message: Message): void => void sent.push(message)
  const shard = createShard({ spec, server: 0, incarnation: 1, lost: false, send })
  const worker = { node: spec.layout.servers, incarnation: 1 }
  const gradients = new Uint32Array(spec.d)
  shard.receive(worker, { type: 'push', id: 1, readsNext: 1, pushesNext, rows: Uint32Array.of(0), gradients })
  return sent.map((message) => (message.type === 'deltas' ? message.soon : undefined))
}

it('differences of a push that another follows are answered late, all others at once', () => {
  expect(asked(0, 1 << 20)).toEqual([1])
  expect(asked(1, 1 << 20)).toEqual([0])
})

it('where the log has no room for another push, that one waits: they are answered at once', () => {
  const bytes = (6 + 2 * defaultSpec.d) * 4
  expect(asked(1, 2 * bytes + 1)).toEqual([0])
  expect(asked(1, 2 * bytes)).toEqual([1])
})
