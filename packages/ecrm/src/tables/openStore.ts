// A store of servers of some kind, and what tells its tables apart where they are protected in different ways.
import type { ClusterKind } from '../network/cluster.ts'
import type { ResolvedOptions } from '../resolveOptions.ts'
import { resolveSpec } from '../shard/spec.ts'
import { createStore } from '../shardStore.ts'
import type { ShardStore } from '../store.ts'
import { mixedStore } from './mixedStore.ts'
import { createPlaces } from './places.ts'

export async function openStore(options: ResolvedOptions, kind: ClusterKind): Promise<ShardStore> {
  const { spec, sweep, tables, replicated: ranges, resumed } = options
  const store = await createStore({ spec, sweep, kind })
  if (createPlaces(tables).plain) return store
  try {
    return await mixedStore(store, { tables, ranges, spec: resolveSpec(spec), resumed })
  } catch (error) {
    await store.close()
    throw error
  }
}
