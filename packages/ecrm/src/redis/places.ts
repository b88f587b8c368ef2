// Where owners of Redis nodes run: processes that the trainer starts, or `ecrm shard` elsewhere.
import { dial, parseAddress, type TlsFiles } from '../network/address.ts'
import { startShardChild, type ShardChild } from '../network/shardChild.ts'
import { tokenWords } from '../network/remote.ts'
import type { OwnerPlaces } from './employer.ts'
import { redisModule } from './load.ts'

/** A process on this machine; another when it dies. */
export function ownersHere(): OwnerPlaces {
  const token = crypto.getRandomValues(new Uint32Array(4))
  const children = new Set<ShardChild>()
  return {
    token,
    take() {
      const child = startShardChild(token, undefined, redisModule())
      children.add(child)
      void child.ended.then(() => children.delete(child))
      const address = child.port.then((port) => `127.0.0.1:${port}`)
      return { address, ended: child.ended, kill: () => child.kill('SIGKILL') }
    },
    dial: (address) => dial(address, undefined),
    async close() {
      const ending = [...children]
      for (const child of ending) child.kill('SIGKILL')
      await Promise.all(ending.map(({ ended }) => ended))
    },
  }
}

/**
 * Processes that somebody else started; the next of the list when one dies, and the first again after the last.
 *
 * @throws FtError `INVALID_ARGUMENT` for an address that is none
 */
export function ownersElsewhere(addresses: readonly string[], token: string, tls: TlsFiles | undefined): OwnerPlaces {
  for (const address of addresses) parseAddress(address)
  let taken = 0
  return {
    token: tokenWords(token),
    take() {
      const address = addresses[taken++ % addresses.length]!
      return { address: Promise.resolve(address), ended: new Promise(() => undefined), kill: () => undefined }
    },
    dial: (address) => dial(address, tls),
    close: () => Promise.resolve(),
  }
}
