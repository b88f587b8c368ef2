// The peer that speaks to Redis and Valkey nodes.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { FtError } from '@ft/core'
import type { RedisClass } from './node.ts'

const missing = 'openShards: `redis` needs ioredis; npm install ioredis'

/** @throws FtError `MISSING_PEER` with the name of the package to install */
export async function loadRedis(): Promise<RedisClass> {
  try {
    return (await import('ioredis')).Redis
  } catch (cause) {
    throw new FtError('MISSING_PEER', missing, {}, { cause })
  }
}

/**
 * Where another process finds the same package.
 *
 * @throws FtError `MISSING_PEER` as `loadRedis`
 */
export function redisModule(): string {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve('ioredis')).href
  } catch (cause) {
    throw new FtError('MISSING_PEER', missing, {}, { cause })
  }
}
