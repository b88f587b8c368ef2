// Faults in a check's own registers: one value of the sums that a product emitted.
import { FtError, type Fault, type Product } from '@ft/core'
import { strike, type FaultContext } from './faults.ts'

const checks = ['rowSums', 'columnSums', 'tileSums', 'replica'] as const

/** Strikes the first kind of check sums that was emitted. @throws `INVALID_ARGUMENT` when none has the fault's index */
export function strikeChecksum(
  product: Product,
  fault: { site: Extract<Fault['site'], { kind: 'checksum' }>; effect: Fault['effect']; context: FaultContext },
): void {
  const { site, effect, context } = fault
  const kind = checks.find((name) => product[name] !== undefined)
  const values = kind === undefined ? undefined : product[kind]?.[site.side]
  if (values === undefined || site.index >= values.length)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${context.where}: no check sum ${site.index} was emitted for the fault to strike; ask for it in \`emit\``,
      { index: site.index },
    )
  values[site.index] = strike(values[site.index] as number, effect, context.sums)
}
