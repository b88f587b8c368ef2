// The program of a shard process that a trainer starts on its machine. Bundled into src/generated/shardProcess.ts.
import { hostShards } from './shardHost.ts'

/** What the parent says first, over the channel that only it and this process share. */
interface Secret {
  readonly token: readonly number[]
}

process.title = 'ft-ecrm-shard'
process.on('disconnect', () => process.exit(0))
process.once('message', ({ token }: Secret) => {
  void hostShards({ token: Uint32Array.from(token), host: '127.0.0.1', port: 0 }).then(({ port }) =>
    process.send?.({ port }),
  )
})
