// Getting rows back that a lost node held: those that are asked for at once, the others in the background, hot rows first.
import type { SweepOptions } from '../network/members.ts'
import type { Fleet } from './fleet.ts'
import { rebuildRows } from './rebuildRows.ts'

export interface Sweep {
  /** Gets data rows back now, unless a node is lost meanwhile. */
  recover(server: number, locals: readonly number[]): Promise<void>
  /** Rows may be missing. */
  wake(): void
  stop(): void
}

export function createSweep(fleet: Fleet, { stripes, pause, share }: SweepOptions): Sweep {
  const { lock, rows, parts } = fleet
  let running = false
  let stopped = false
  let timer: ReturnType<typeof setTimeout> | undefined

  /** What a lost node interrupts is done again when it is replaced. */
  const unlessLost = (work: () => Promise<void>): Promise<void> => lock.exclusive(work).catch(() => undefined)

  async function sweep(): Promise<void> {
    const due = rows.flatMap(({ missing }, server) => (missing > 0 && parts[server] !== undefined ? [server] : []))
    if (due.length === 0 || stopped) {
      running = false
      return
    }
    const start = performance.now()
    for (const server of due) await unlessLost(() => rebuildRows(fleet, server, rows[server]!.next(stripes)))
    const lasted = performance.now() - start
    timer = setTimeout(() => void sweep(), Math.max(pause, lasted * (1 / share - 1)))
  }

  return {
    recover(server, locals) {
      const wanted = locals.map((local) => ({ kind: 'data' as const, local }))
      return unlessLost(() => rebuildRows(fleet, server, wanted))
    },
    wake() {
      if (running || stopped) return
      running = true
      timer = setTimeout(() => void sweep(), pause)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
