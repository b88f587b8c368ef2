// A store of servers of some kind, with its replicated tables before it where it has any.
import type { ClusterKind } from '../network/cluster.ts'
import type { ResolvedOptions } from '../resolveOptions.ts'
import { resolveSpec } from '../shard/spec.ts'
import { createStore } from '../shardStore.ts'
import type { ShardStore } from '../store.ts'
import { replicatedStore } from './replicatedStore.ts'

export async function openStore(options: ResolvedOptions, kind: ClusterKind): Promise<ShardStore> {
  const { spec, sweep, tables, replicated: ranges, resumed } = options
  const store = await createStore({ spec, sweep, kind })
  if (ranges.length === 0) return store
  try {
    return await replicatedStore(store, { tables, ranges, spec: resolveSpec(spec), resumed })
  } catch (error) {
    await store.close()
    throw error
  }
}
