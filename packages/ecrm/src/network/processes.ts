// Shards in processes of this machine: started here, with some that stand by.
import { dial } from './address.ts'
import type { Cluster, ClusterEvents } from './cluster.ts'
import { startMembers, type MemberOptions, type Place, type Places } from './members.ts'
import { startShardChild, type ShardChild } from './shardChild.ts'
import type { ResolvedSpec } from '../shard/spec.ts'

export interface ProcessOptions extends MemberOptions {
  /** Processes that stand by, so that a replacement need not be started. */
  readonly spares: number
}

/** A replacement that dies while it starts is replaced in its turn, this often. */
const attempts = 5

export function startProcesses(spec: ResolvedSpec, events: ClusterEvents, o: ProcessOptions): Promise<Cluster> {
  const token = crypto.getRandomValues(new Uint32Array(4))
  const children = new Set<ShardChild>()
  const spares: ShardChild[] = []
  function startChild(): ShardChild {
    const child = startShardChild(token)
    children.add(child)
    void child.ended.then(() => children.delete(child))
    return child
  }
  const places: Places = {
    token,
    take(): Place {
      const child = spares.shift() ?? startChild()
      return {
        address: child.port.then((port) => `127.0.0.1:${port}`),
        ended: child.ended,
        kill: () => child.kill('SIGKILL'),
        pause: () => child.kill('SIGSTOP'),
      }
    },
    dial: (address) => dial(address, undefined),
    refill() {
      while (spares.length < o.spares) spares.push(startChild())
    },
    attempts,
    retry: 0,
    patience: 0,
    async close() {
      const ending = [...children]
      for (const child of ending) child.kill('SIGKILL')
      await Promise.all(ending.map(({ ended }) => ended))
    },
  }
  // All at once: a process takes a while to start.
  for (let i = 0; i < spec.servers; i++) spares.push(startChild())
  return startMembers(spec, events, { ...o, places })
}
