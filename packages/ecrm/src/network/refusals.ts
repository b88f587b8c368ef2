// Why a shard refuses a connection: what it says by number, and what that means to who reads it.
import { FtError, type FtErrorCode } from '@ft/core'

/** Of frames and messages: both sides must speak the same. */
export const protocol = 6

/** The node of those who only look what is here, for whichever trainer; no worker has it. */
export const passer = 2 ** 20 - 1

export type Refusal = 'protocol' | 'token' | 'run' | 'epoch' | 'redis' | 'fenced'

const refusals: readonly Refusal[] = ['protocol', 'token', 'run', 'epoch', 'redis', 'fenced']

const texts: Readonly<Record<Refusal, readonly [FtErrorCode, string]>> = {
  protocol: ['VERSION_UNSUPPORTED', 'speaks another version; run the same version of @ft/ecrm on both sides'],
  token: ['INVALID_ARGUMENT', 'refused the token; give both sides the same'],
  run: [
    'INVALID_ARGUMENT',
    'has a part in a run of this name already; name each shard once, take the run up with `resume`, or give it another `name`',
  ],
  epoch: ['ABORTED', 'has heard of a later life of this server; what an earlier one says does not count'],
  redis: ['MISSING_PEER', 'has no client for Redis nodes; npm install ioredis there'],
  fenced: ['ABORTED', 'is led by a later trainer of this run; nothing that this one says counts any more'],
}

export const reasonOf = (refusal: Refusal): number => refusals.indexOf(refusal)

/** @param address - of the shard that refused */
export function refusalError(reason: number, address: string): FtError {
  const refusal = refusals[reason] ?? 'protocol'
  const [code, text] = texts[refusal]
  return new FtError(code, `openShards: the shard at ${address} ${text}`, { address, refusal })
}
