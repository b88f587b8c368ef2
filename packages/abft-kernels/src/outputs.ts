// Outputs that the caller gives.
import { FtError, type Tensor } from '@ft/core'
import { overlaps } from '@ft/tensor-core'

/**
 * A flagged row is computed again from its operands and judged by the original weights: an output over either would have
 * destroyed them. Engines refuse what a product reads; prepared weights they know only as their own copy.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function assertOutputApart(
  out: Tensor | undefined,
  operands: Readonly<Record<string, Tensor>>,
  where: string,
): void {
  // What is no tensor the engine says better.
  if (!ArrayBuffer.isView(out?.data)) return
  for (const [argument, { data }] of Object.entries(operands))
    if (overlaps(out.data, data))
      throw new FtError(
        'INVALID_ARGUMENT',
        `${where}: \`options.out\` must not share memory with \`${argument}\`; give it memory of its own, or leave it out`,
        { argument },
      )
}
