// --sweep batch=1,8,64: the plan's totals for each value, instead of one plan.
import { FtError } from '@ft/core'
import type { Output } from '@ft/report'
import { whatIf, type WhatIfCase } from '../whatIf.ts'

export interface Sweep {
  readonly what: 'batch' | 'resolution' | 'tokens' | 'device'
  readonly values: readonly string[]
}

const kinds = ['batch', 'resolution', 'tokens', 'device'] as const

/** @throws FtError `INVALID_ARGUMENT` for what is no sweep */
export function parseSweep(text: string): Sweep {
  const [name = '', list = ''] = text.split('=')
  const what = kinds.find((kind) => kind === name)
  const values = list.split(',').filter((value) => value !== '')
  const sound = values.every((value) =>
    what === 'device' ? true : (what === 'resolution' ? /^[1-9]\d*x[1-9]\d*$/ : /^[1-9]\d*$/).test(value),
  )
  if (what && values.length > 0 && sound) return { what, values }
  const message = `intensity-guide: --sweep must read batch=1,8,64, resolution=224x224,1080x1920, tokens=1,512 or device=t4,h100, got ${text}`
  throw new FtError('INVALID_ARGUMENT', message, { text })
}

export function showSweep(cases: readonly WhatIfCase[], { what, output }: { what: string; output: Output }): void {
  const rows = whatIf(cases)
  output.table(rows, [
    { header: what, value: (row) => row.label },
    { header: 'FLOP/B', value: (row) => row.intensity, digits: 4 },
    { header: 'ridge', value: (row) => row.ridge, digits: 3 },
    { header: 'thread-level layers', value: (row) => row.threadLevel, format: 'plain' },
    { header: 'of the work', value: (row) => row.threadLevelWork, format: 'percent', digits: 3 },
    { header: 'guided', value: (row) => row.guided, format: 'percent', digits: 3 },
    { header: 'all global', value: (row) => row.global, format: 'percent', digits: 3 },
    { header: 'all thread-one-sided', value: (row) => row.threadOneSided, format: 'percent', digits: 3 },
  ])
  for (const row of rows) output.result({ ...row })
}
