// Laws of memory that many use in turn: what is written to a socket arrives there as it was, however slowly it is read; pieces
// of one block never overlap; a bag holds what a set would.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { room } from '../../src/oip/room.ts'
import { createWriter } from '../../src/oip/writer.ts'
import { Bag } from '../../src/serving/bag.ts'

/** Both ends of connections over a local socket; the far ends are not read yet. */
async function connections(count: number) {
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const server = createServer({ pauseOnConnect: true })
  server.listen(join(folder, 's'))
  await once(server, 'listening')
  const pairs: { near: Socket; far: Socket }[] = []
  for (let i = 0; i < count; i++) {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const near = connect(join(folder, 's'))
    pairs.push({ near, far: (await accepted)[0] })
  }
  return {
    pairs,
    close() {
      for (const { near, far } of pairs) {
        near.destroy()
        far.destroy()
      }
      server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

async function readAll(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let got = 0
  while (got < length) {
    const chunk = socket.read() as Buffer | null
    if (chunk) got += chunks.push(chunk) && chunk.length
    else await once(socket, 'readable')
  }
  return Buffer.concat(chunks)
}

it('brings every message to its own socket whole and in order, although nobody reads for a while', async () => {
  await fc.assert(
    fc.asyncProperty(
      // Sockets take some 200 KB before they must be read; messages of up to 64 KiB share memory
      fc.array(
        fc.record({ to: fc.nat(2), head: fc.nat(50), parts: fc.array(fc.oneof(fc.nat(9000), fc.nat(90_000))) }),
        { minLength: 5, maxLength: 25 },
      ),
      async (messages) => {
        const { pairs, close } = await connections(3)
        try {
          const writers = pairs.map(({ near }) => createWriter(near))
          const sent = pairs.map(() => [] as Buffer[])
          for (const [i, { to, head, parts }] of messages.entries()) {
            const own = parts.map((length, j) => Buffer.alloc(length, (7 * i + j) % 251))
            const text = 'é'.repeat(head)
            sent[to]?.push(Buffer.from(text, 'latin1'), ...own.map((part) => Buffer.from(part)))
            writers[to]?.({ head: text, parts: own, length: own.reduce((sum, part) => sum + part.length, 0) })
            // They may be changed at once
            for (const part of own) part.fill(255)
          }
          for (const [i, { far }] of pairs.entries()) {
            const wanted = Buffer.concat(sent[i] ?? [])
            expect((await readAll(far, wanted.length)).equals(wanted)).toBe(true)
          }
        } finally {
          close()
        }
      },
    ),
    { numRuns: 25 },
  )
})

it('gives pieces that do not overlap, and lie where their elements can be used', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.oneof(fc.nat(200), fc.nat(9000)), fc.nat(40)), { minLength: 1, maxLength: 60 }),
      (wanted) => {
        const pieces = wanted.map(([length, aligned], i) => room(length, aligned).fill(i))
        for (const [i, piece] of pieces.entries()) {
          const [length, aligned] = wanted[i] as [number, number]
          expect(piece.length).toBe(length)
          expect((piece.byteOffset + aligned) % 8).toBe(0)
          expect(piece.every((byte) => byte === i)).toBe(true)
        }
      },
    ),
  )
})

it('holds in a bag what a set would hold, and goes through what was there at the start', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7))), (steps) => {
      const members = Array.from({ length: 8 }, () => ({ place: -1 }))
      const [bag, set] = [new Bag<{ place: number }>(), new Set<{ place: number }>()]
      for (const [add, i] of steps) {
        const member = members[i] as { place: number }
        if (add) {
          bag.add(member)
          set.add(member)
        } else {
          bag.delete(member)
          set.delete(member)
        }
        expect(bag.size).toBe(set.size)
        for (const one of members) expect(bag.has(one)).toBe(set.has(one))
      }
      const seen = new Set<unknown>()
      for (const member of bag) {
        seen.add(member)
        bag.delete(member)
      }
      expect(seen).toEqual(set)
      expect(bag.size).toBe(0)
    }),
  )
})

it('is not given away with a piece of it that is transferred', () => {
  const piece = room(16, 8)
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(piece, [piece.buffer as ArrayBuffer])
  } catch {
    // Newer Node refuses, older leaves the memory where it is.
  }
  port1.close()
  port2.close()
  expect(piece.byteLength).toBe(16)
  expect(room(16, 8).byteLength).toBe(16)
})
