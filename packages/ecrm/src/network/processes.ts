// Shards in processes of this machine: started here, with some that stand by.
import { join } from 'node:path'
import { dial, localAddress } from './address.ts'
import type { Cluster, ClusterEvents } from './cluster.ts'
import { startMembers, type MemberOptions, type Place, type Places } from './members.ts'
import { startShardChild, type ShardChild } from './shardChild.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import { makeSocketFolder, removeSocketFolder } from './socketFolder.ts'

export interface ProcessOptions extends MemberOptions {
  /** Processes that stand by, so that a replacement need not be started. */
  readonly spares: number
}

interface Started {
  readonly child: ShardChild
  readonly address: Promise<string>
}

/** In ms: processes that stand by warm up when the start, or what was left of a recovery, is over. */
const warmAfterMs = 1_000

/** A replacement that dies while it starts is replaced in its turn, this often. */
const attempts = 5

export function startProcesses(spec: ResolvedSpec, events: ClusterEvents, o: ProcessOptions): Promise<Cluster> {
  const token = crypto.getRandomValues(new Uint32Array(4))
  const children = new Set<ShardChild>()
  const spares: Started[] = []
  const folder = makeSocketFolder()
  let warming: NodeJS.Timeout | undefined
  let started = 0
  function startChild(): Started {
    const path = folder === undefined ? undefined : join(folder, String(started++))
    const child = startShardChild(token, path)
    children.add(child)
    void child.ended.then(() => children.delete(child))
    const address = child.port.then((port) => (path === undefined ? `127.0.0.1:${port}` : localAddress(path)))
    address.catch(() => undefined)
    return { child, address }
  }
  const places: Places = {
    token,
    tls: undefined,
    take(): Place {
      const { child, address } = spares.shift() ?? startChild()
      return {
        address,
        ended: child.ended,
        kill: () => child.kill('SIGKILL'),
        pause: () => child.kill('SIGSTOP'),
      }
    },
    dial: (address) => dial(address, undefined),
    refill() {
      while (spares.length < o.spares) spares.push(startChild())
      clearTimeout(warming)
      warming = setTimeout(() => {
        for (const { child } of spares) child.warmUp()
      }, warmAfterMs).unref()
    },
    attempts,
    retry: 0,
    patience: 0,
    async close() {
      clearTimeout(warming)
      const ending = [...children]
      for (const child of ending) child.kill('SIGKILL')
      await Promise.all(ending.map(({ ended }) => ended))
      if (folder !== undefined) removeSocketFolder(folder)
    },
  }
  // All at once: a process takes a while to start.
  for (let i = 0; i < spec.servers; i++) spares.push(startChild())
  return startMembers(spec, events, { ...o, places, lasting: undefined })
}
