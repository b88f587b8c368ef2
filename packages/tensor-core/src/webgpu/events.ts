// A fault list as the instrumented kernel takes it.
import type { Fault } from '@ft/core'
import { encodeEffect } from '../problem/effects.ts'
import { formatAt, type FaultContext } from '../problem/faults.ts'
import { eventWords, sites } from './shader/faults.ts'

/** Six words an event; faults in check sums strike on the host and are left out. */
export function encodeEvents(faults: readonly Fault[], context: FaultContext): Uint32Array<ArrayBuffer> {
  const words: number[] = []
  for (const { site, effect } of faults) {
    if (site.kind === 'checksum' || site.kind === 'index') continue
    const [code, operand] = encodeEffect(effect, formatAt(site.kind, context))
    const kind = site.kind === 'packed-weight' ? sites.weight : sites[site.kind]
    const row = 'row' in site ? site.row : 0
    const column = 'column' in site ? site.column : 0
    const step = 'step' in site ? site.step : 0
    const event = [kind, row, column, step, code, operand]
    words.push(...event.slice(0, eventWords))
  }
  return Uint32Array.from(words)
}
