// Rows that share a request to an instance: which may, when they need not wait for more, how their tensors become one batch,
// and how its answer becomes theirs again. Which instance they go to, and what comes of it, is the pool's business.
import type { WireTensor } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'
import type { Clock } from '../serving/clock.ts'

/** A unit that waits for an instance, or for others to go with. */
export interface Companion {
  /** What those have that it may share a request with; undefined: it goes alone. */
  readonly key: string | undefined
  /** When it no longer waits for them, by the clock; 0: not at all. */
  readonly ripeMs: number
  /** Units of one group have one set. */
  readonly job: { readonly placed: ReadonlySet<string> }
}

/** Headers that say which request it is, not what is asked: those of a batch's first row stand for all. */
const tracing = new Set(['traceparent', 'tracestate', 'x-request-id'])

/**
 * What rows that share a request have in common: names, types and shapes of their inputs, and headers. Equal texts for those
 * that may share one.
 */
export function batchKey(inputs: readonly WireTensor[], headers: Readonly<Record<string, string>>): string {
  const forms = inputs.map(({ name, datatype, shape }) => [name, datatype, ...shape])
  const said = Object.entries(headers).filter(([name]) => !tracing.has(name))
  return JSON.stringify([forms, said.sort()])
}

/** Whether a model takes and gives any number of rows: a fixed first axis, of 1 row as well, takes no batch. */
export function takesBatches({ inputs, outputs }: Record<'inputs' | 'outputs', readonly TensorMetadata[]>): boolean {
  return [...inputs, ...outputs].every(({ shape }) => shape[0] === -1)
}

/**
 * Whether a unit in the queue need not wait for company: its request would be full, or one behind it that could share it has
 * waited long enough. At most one unit of a group is in a request.
 */
export function isRipe(
  queue: readonly Companion[],
  at: number,
  { most, clock }: { readonly most: number; readonly clock: Clock },
): boolean {
  const { key, ripeMs } = queue[at] as Companion
  if (key === undefined || ripeMs === 0) return true
  const now = clock.now()
  const groups = new Set<unknown>()
  for (let i = at; i < queue.length; i++) {
    const other = queue[i] as Companion
    if (other.key !== key) continue
    groups.add(other.job.placed)
    if (groups.size >= most || other.ripeMs <= now) return true
  }
  return false
}

/**
 * Takes a unit off the queue, with those behind it that share its request.
 *
 * @param o.most - units together
 * @param o.mayJoin - whether another may go where the first goes
 */
export function takeBatch<Unit extends Companion>(
  queue: Unit[],
  at: number,
  o: { readonly most: number; readonly mayJoin: (head: Unit, other: Unit) => boolean },
): Unit[] {
  const [head] = queue.splice(at, 1) as [Unit]
  const units = [head]
  if (head.key === undefined) return units
  const groups = new Set([head.job.placed])
  for (let i = at; i < queue.length && units.length < o.most;) {
    const other = queue[i] as Unit
    if (other.key === head.key && !groups.has(other.job.placed) && o.mayJoin(head, other)) {
      groups.add(other.job.placed)
      units.push(...queue.splice(i, 1))
    } else i++
  }
  return units
}

/** The inputs of b rows, each tensor `[1, ...]`, as tensors `[b, ...]`; those of a single one as they are. */
export function joinInputs(rows: readonly (readonly WireTensor[])[]): readonly WireTensor[] {
  const first = rows[0] as readonly WireTensor[]
  if (rows.length === 1) return first
  return first.map(({ name, datatype, shape }, t) => {
    const bytes = Buffer.concat(rows.map((row) => (row[t] as WireTensor).bytes))
    return { name, datatype, shape: [rows.length, ...shape.slice(1)], bytes }
  })
}

/** Row i of outputs, each tensor `[b, ...]` of elements of one length cut to `[1, ...]` without copying. */
export function rowOf(outputs: readonly WireTensor[], i: number): WireTensor[] {
  return outputs.map(({ name, datatype, shape, bytes }) => {
    const size = bytes.length / (shape[0] as number)
    return { name, datatype, shape: [1, ...shape.slice(1)], bytes: bytes.subarray(i * size, (i + 1) * size) }
  })
}
