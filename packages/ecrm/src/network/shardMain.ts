// The program of a shard process that a trainer starts on its machine. Bundled into src/generated/shardProcess.ts.
import { dirname } from 'node:path'
import type { RedisClass } from '../redis/node.ts'
import { hostShards } from './shardHost.ts'
import { warmUp } from './warmUp.ts'
import { removeSocketFolder } from './socketFolder.ts'

/** What the parent says first, over the channel that only it and this process share. */
interface Secret {
  readonly token: readonly number[]
  /** Of the socket to listen at, in a folder of the run's own; without it a port of the loopback. */
  readonly path?: string
  /** Where ioredis is, for rows on Redis nodes. */
  readonly redis?: string
}

process.title = 'ft-ecrm-shard'
let folder: string | undefined
process.on('disconnect', () => {
  // The trainer is gone, however it went: nobody else tidies up.
  if (folder !== undefined) removeSocketFolder(folder)
  process.exit(0)
})
process.once('message', ({ token, path, redis }: Secret) => {
  if (path !== undefined) folder = dirname(path)
  const load = async (): Promise<RedisClass> => ((await import(redis!)) as { Redis: RedisClass }).Redis
  const busy = new AbortController()
  const how = { token: Uint32Array.from(token), host: '127.0.0.1', port: 0, path, onRun: () => busy.abort() }
  void hostShards({ ...how, ...(redis === undefined ? {} : { redis: load }) }).then(({ port }) =>
    process.send?.({ port }),
  )
  // What is said next, to one that stands by. Without it everything works, and is slow at first.
  process.once('message', () => void warmUp({ path, signal: busy.signal }).catch(() => undefined))
})
