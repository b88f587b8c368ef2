// A simulated cluster: @ft/parm's own coordinator, code and policy over a virtual clock; workers are queues.
import { createRandom } from '@ft/core/random'
import {
  createCoordinator,
  type Code,
  type Coordinator,
  type NamedTensor,
  type Policy,
  type Task,
  type VirtualClock,
} from '@ft/parm/serving'
import type { WorkerView } from './messages.ts'

export const SERVICE_MS = 10
const LATE_MS = [50, 200] as const
const RESTART_MS = 1500
export const DEADLINE_MS = 1500

export interface ClusterOptions {
  readonly clock: VirtualClock
  readonly workers: number
  readonly parities: number
  readonly code?: Code
  readonly policy: Policy
  readonly late: number
  readonly seed: number
}

export interface Cluster {
  readonly coordinator: Coordinator
  view(): WorkerView[]
  /** A worker answers nothing for so long, and then goes on. */
  stall(worker: number, ms: number): void
  /** A worker and what it was doing are gone; another takes its place after a while. */
  kill(worker: number): void
}

interface Unit {
  readonly task: Task
  readonly done: (outputs: readonly NamedTensor[]) => void
  readonly failed: (error: unknown) => void
  attempts: number
}

interface SimulatedWorker {
  readonly name: string
  readonly role: 'query' | 'parity'
  readonly queue: Unit[]
  running: Unit | undefined
  /** Takes back the end of the running unit. */
  cancel: (() => void) | undefined
  stalledUntil: number
  dead: boolean
  answered: number
}

/** The model is linear, and so its own parity model: reconstructions are exact up to rounding. */
export function model(inputs: readonly NamedTensor[]): NamedTensor[] {
  const [x] = inputs
  const data = Float32Array.from(x?.data ?? [], (value) => 2 * value)
  return [{ name: 'y', data, shape: [1, data.length], dtype: 'float32' }]
}

export function createCluster(options: ClusterOptions): Cluster {
  const { clock, late, seed, code, policy } = options
  const random = createRandom(seed).stream('late responses')
  const make = (role: SimulatedWorker['role'], count: number): SimulatedWorker[] =>
    Array.from({ length: count }, (_, i) => ({
      name: `${role} ${i + 1}`,
      role,
      queue: [],
      running: undefined,
      cancel: undefined,
      stalledUntil: 0,
      dead: false,
      answered: 0,
    }))
  const pools = { query: make('query', options.workers), parity: make('parity', options.parities) }

  /** The least busy living worker, away from those that the group uses already. */
  function place(unit: Unit): void {
    const pool = unit.task.model === 'base' ? pools.query : pools.parity
    const cost = (worker: SimulatedWorker) =>
      worker.queue.length + (worker.running ? 1 : 0) + (unit.task.placed.has(worker.name) ? 1 : 0)
    const chosen = pool
      .filter(({ dead }) => !dead)
      .reduce<SimulatedWorker | undefined>(
        (best, one) => (best === undefined || cost(one) < cost(best) ? one : best),
        undefined,
      )
    if (chosen === undefined) return unit.failed(new Error('no worker is alive'))
    unit.task.placed.add(chosen.name)
    unit.attempts++
    chosen.queue.push(unit)
    next(chosen)
  }

  function next(worker: SimulatedWorker): void {
    if (worker.running || worker.dead) return
    let unit = worker.queue.shift()
    // What nobody needs any more is not begun
    while (unit?.task.signal.aborted) unit = worker.queue.shift()
    if (unit === undefined) return
    const begun = unit
    worker.running = begun
    worker.cancel = clock.schedule(Math.max(0, worker.stalledUntil - clock.now()) + SERVICE_MS, () =>
      finish(worker, begun),
    )
  }

  function finish(worker: SimulatedWorker, unit: Unit): void {
    // Stopped meanwhile: it ends when the worker goes on
    if (worker.stalledUntil > clock.now()) {
      worker.cancel = clock.schedule(worker.stalledUntil - clock.now(), () => finish(worker, unit))
      return
    }
    worker.running = undefined
    worker.answered++
    const answer = () => unit.done(model(unit.task.inputs))
    // A late response has left the worker, which goes on meanwhile
    if (random.bernoulli(late)) clock.schedule(random.uniform(...LATE_MS), answer)
    else answer()
    next(worker)
  }

  const coordinator = createCoordinator({
    ...(code ? { code } : {}),
    policy,
    clock,
    deadlineMs: DEADLINE_MS,
    maxGroupWaitMs: 50,
    dispatch: (task, { done, failed }) => place({ task, done, failed, attempts: 0 }),
  })

  return {
    coordinator,
    view: () =>
      [...pools.query, ...pools.parity].map(({ name, role, queue, running, stalledUntil, dead, answered }) => ({
        name,
        role,
        state: dead ? 'dead' : stalledUntil > clock.now() ? 'stalled' : running ? 'busy' : 'idle',
        queue: queue.length + (running ? 1 : 0),
        answered,
      })),
    stall(index, ms) {
      const worker = pools.query[index % pools.query.length]
      if (worker) worker.stalledUntil = clock.now() + ms
    },
    kill(index) {
      const worker = pools.query[index % pools.query.length]
      if (!worker || worker.dead) return
      worker.dead = true
      worker.cancel?.()
      const lost = [...(worker.running ? [worker.running] : []), ...worker.queue.splice(0)]
      worker.running = undefined
      clock.schedule(RESTART_MS, () => {
        worker.dead = false
        worker.stalledUntil = 0
      })
      // As the gateway does: once more on another worker
      for (const unit of lost) {
        if (unit.task.signal.aborted) continue
        if (unit.attempts < 2) place(unit)
        else unit.failed(new Error('the worker has died'))
      }
    },
  }
}
