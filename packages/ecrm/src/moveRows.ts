// Rows move to another set of servers while training goes on: a piece of every server at a time, and pulls and pushes wait
// only for the piece. Until the end each row is on one side, and its updates go there.
import type { Generation } from './generation.ts'
import { readRange } from './snapshot.ts'

export interface MoveOptions {
  /** Rows of each server in a piece. */
  readonly rows: number
  /** Least milliseconds between pieces, and the part of the time that they may take. */
  readonly pause: number
  readonly share: number
  /** Runs while no pull or push is under way; later ones wait. */
  exclusive<T>(work: () => Promise<T>): Promise<T>
  /** True once the store is closed. */
  stopped(): boolean
}

/**
 * Moves all rows.
 *
 * Guarantees: values, optimizer state and versions arrive bit for bit. A row that was never updated is on both sides alike
 * (it follows from seed and id) and is not sent.
 *
 * @param moved - set to 1, by id, for rows that are on the new side
 */
export async function moveRows(from: Generation, to: Generation, moved: Uint8Array, o: MoveOptions): Promise<void> {
  const { layout, width } = from.spec
  for (let first = 0; first < layout.dataRows && !o.stopped(); first += o.rows) {
    const start = performance.now()
    await o.exclusive(async () => {
      const piece = { first, count: o.rows, changed: false, mark: false }
      const servers = Array.from({ length: layout.servers }, (_, server) => server)
      const sets = await from.steady(() =>
        Promise.all(servers.map((server) => readRange(from.spec, from.client, { server, ...piece }))),
      )
      await Promise.all(
        sets.map(async ({ ids, words, versions }) => {
          const updated = Array.from(ids.keys()).filter((i) => versions[i]! > 0)
          const content = new Uint32Array(updated.length * width)
          updated.forEach((i, at) => content.set(words.subarray(i * width, (i + 1) * width), at * width))
          if (updated.length > 0)
            await to.client.write(
              Uint32Array.from(updated, (i) => ids[i]!),
              content,
              Uint32Array.from(updated, (i) => versions[i]!),
            )
          for (const id of ids) moved[id] = 1
        }),
      )
    })
    const lasted = performance.now() - start
    await new Promise((resolve) => setTimeout(resolve, Math.max(o.pause, lasted * (1 / o.share - 1))))
  }
}
