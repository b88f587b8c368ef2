// Why a shard refuses a connection: what it says by number, and what that means to who reads it.
import { FtError, type FtErrorCode } from '@ft/core'

/** Of frames and messages: both sides must speak the same. */
export const protocol = 3

export type Refusal = 'protocol' | 'token' | 'run' | 'epoch' | 'redis'

const refusals: readonly Refusal[] = ['protocol', 'token', 'run', 'epoch', 'redis']

const texts: Readonly<Record<Refusal, readonly [FtErrorCode, string]>> = {
  protocol: ['VERSION_UNSUPPORTED', 'speaks another version; run the same version of @ft/ecrm on both sides'],
  token: ['INVALID_ARGUMENT', 'refused the token; give both sides the same'],
  run: ['INVALID_ARGUMENT', 'has another part in this run already; name each shard once'],
  epoch: ['ABORTED', 'has heard of a later life of this server; what an earlier one says does not count'],
  redis: ['MISSING_PEER', 'has no client for Redis nodes; npm install ioredis there'],
}

export const reasonOf = (refusal: Refusal): number => refusals.indexOf(refusal)

/** @param address - of the shard that refused */
export function refusalError(reason: number, address: string): FtError {
  const refusal = refusals[reason] ?? 'protocol'
  const [code, text] = texts[refusal]
  return new FtError(code, `openShards: the shard at ${address} ${text}`, { address, refusal })
}
