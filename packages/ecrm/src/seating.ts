// Seats for further workers at a store's servers: what they need, and what they must be told.
import { FtError } from '@ft/core'
import type { Generation } from './generation.ts'
import type { SeatEvents, Seats } from './network/seat.ts'
import type { ShardStore } from './store.ts'

interface Seating {
  /** Undefined where workers have no way to the servers but through the store. */
  seats(): Seats | undefined
  /** Numbers up to this one were given by an earlier trainer. */
  begin(highest: number): void
  /** Tells every worker that the servers cannot go on. */
  fail(error: Error): void
  /** @throws FtError `UNSUPPORTED` while there are workers: they would not find rows that have moved */
  refuseMove(): void
}

/** @param control - the highest number of a node so far: the store's own, or one of an earlier trainer */
export function createSeating(current: () => Generation, control: number): Seating {
  const seated = new Set<SeatEvents>()
  /** Numbers of workers: none comes twice, as servers remember the pushes of each. */
  let last = control
  function take(worker: SeatEvents): ReturnType<Seats['take']> {
    const { cluster, spec, onRenewed } = current()
    const node = (last = Math.max(last, spec.layout.servers) + 1)
    const seat = cluster.seat!(node)
    const stop = onRenewed((server) => worker.renewed(server, cluster.seat!(node).addresses[server]!))
    seated.add(worker)
    return {
      seat,
      leave() {
        seated.delete(worker)
        stop()
      },
    }
  }
  return {
    seats: () => (current().cluster.seat === undefined ? undefined : { take }),
    begin: (highest) => void (last = Math.max(last, highest)),
    fail(error) {
      for (const worker of seated) worker.failed(error)
    },
    refuseMove() {
      if (seated.size === 0) return
      throw new FtError(
        'UNSUPPORTED',
        'openShards: rows cannot move to other servers while several workers train; wait for the end of the training',
        { workers: seated.size },
      )
    },
  }
}

const givers = new WeakMap<ShardStore, () => Seats | undefined>()

export function giveSeats(store: ShardStore, giver: () => Seats | undefined): void {
  givers.set(store, giver)
}

/** Seats at the servers of a store; undefined where workers reach rows through the store. */
export const seatsAt = (store: ShardStore): Seats | undefined => givers.get(store)?.()
