// Prepared weights as an engine hands them out: whose they are, whether they still live, what they are for.
import { FtError, type Conv2dOptions, type PreparedWeights, type Tensor } from '@ft/core'

export interface WeightFacts {
  readonly kind: PreparedWeights['kind']
  readonly k: number
  readonly n: number
  readonly groups: number
  readonly bytes: number
  /** Asked when somebody wants them: an engine that has them in a form of its own keeps no second copy. */
  readonly rowSums: () => Float64Array
  /** Whether the weights were a batch of matrices. */
  readonly batched: boolean
  /** Whether they were prepared with `transposeB`. */
  readonly transposed: boolean
  readonly exactReplica?: boolean
}

export interface KnownWeights<T> {
  readonly value: T
  readonly facts: WeightFacts
}

export interface WeightsRegistry<T> {
  /** @throws `INVALID_ARGUMENT` after `close` */
  assertOpen(where: string): void
  add(value: T, facts: WeightFacts): PreparedWeights
  /**
   * The engine's own form of prepared weights; undefined for a plain tensor.
   *
   * @throws `INVALID_ARGUMENT` for weights of another engine or kind, released ones, and options that ask for others
   */
  find(
    weights: Tensor | PreparedWeights,
    use: { where: string; kind: PreparedWeights['kind']; options: Pick<Conv2dOptions, 'transposeB' | 'groups'> },
  ): KnownWeights<T> | undefined
  /** Releases everything and refuses further use. */
  close(): void
}

/**
 * @param free - gives back what a value holds outside the garbage collector's reach; called once for each, at the
 * latest when nobody holds the weights any more
 */
export function createWeightsRegistry<T extends object>(
  build: string,
  free: (value: T) => void = () => undefined,
): WeightsRegistry<T> {
  const entries = new WeakMap<object, KnownWeights<T>>()
  const living = new Set<T>()
  let closed = false

  function release(value: T): void {
    if (living.delete(value)) free(value)
  }
  const net = new FinalizationRegistry<T>(release)

  function assertOpen(where: string): void {
    if (closed) throw new FtError('INVALID_ARGUMENT', `${where}: the engine was disposed; create another`)
  }

  return {
    assertOpen,
    add(value, facts) {
      const { batched: _batched, transposed: _transposed, rowSums, ...open } = facts
      const weights: PreparedWeights = {
        build,
        ...open,
        get rowSums() {
          if (living.has(value)) return rowSums()
          throw new FtError('INVALID_ARGUMENT', 'rowSums: the weights were released; prepare them again')
        },
        release: () => release(value),
      }
      entries.set(weights, { value, facts })
      living.add(value)
      net.register(weights, value)
      return weights
    },
    find(weights, { where, kind, options }) {
      assertOpen(where)
      if (typeof weights !== 'object' || weights === null || !('release' in weights)) return undefined
      const entry = entries.get(weights)
      if (entry === undefined) {
        const maker = weights.build === build ? 'another engine' : `build '${weights.build}'`
        throw new FtError(
          'INVALID_ARGUMENT',
          `${where}: the weights were prepared by ${maker}; this engine is '${build}': prepare them here`,
          { build, prepared: weights.build },
        )
      }
      if (!living.has(entry.value))
        throw new FtError('INVALID_ARGUMENT', `${where}: the weights were released; prepare them again`)
      if (entry.facts.kind !== kind)
        throw new FtError(
          'INVALID_ARGUMENT',
          `${where}: the weights were prepared for '${entry.facts.kind}'; prepare them for '${kind}'`,
          {
            kind,
            prepared: entry.facts.kind,
          },
        )
      assertAsPrepared(entry.facts, options, where)
      return entry
    },
    close() {
      closed = true
      for (const value of [...living]) release(value)
    },
  }
}

/** What was settled when weights were prepared may be said again, not otherwise. */
function assertAsPrepared(
  { kind, transposed, groups }: WeightFacts,
  { transposeB, groups: wanted }: Pick<Conv2dOptions, 'transposeB' | 'groups'>,
  where: string,
): void {
  const refuse = (option: string, prepared: unknown, got: unknown): never => {
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: the weights were prepared with \`${option}\` ${prepared}, got ${got}; prepare them so, or leave it out`,
      { option, prepared, got },
    )
  }
  // Of a convolution, which has no transposes, the product says more.
  if (kind !== 'conv2d' && transposeB !== undefined && transposeB !== transposed)
    refuse('transposeB', transposed, transposeB)
  if (kind === 'conv2d' && wanted !== undefined && wanted !== groups) refuse('groups', groups, wanted)
}
