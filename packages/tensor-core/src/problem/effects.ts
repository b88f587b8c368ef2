// Effects of faults as kernels take them: a code and an operand of 32 bits.
import type { FaultEffect } from '@ft/core'
import {
  effectAdd,
  effectAnd,
  effectCarry,
  effectDoubleTerm,
  effectDropTerm,
  effectOr,
  effectSet,
  effectXor,
} from '../../assembly/fields.ts'
import { patternOf, type ValueFormat } from './faults.ts'

export const effectCodes = {
  xor: effectXor,
  and: effectAnd,
  or: effectOr,
  carry: effectCarry,
  set: effectSet,
  add: effectAdd,
  dropTerm: effectDropTerm,
  doubleTerm: effectDoubleTerm,
} as const

export function encodeEffect(effect: FaultEffect, format: ValueFormat): [code: number, operand: number] {
  switch (effect.kind) {
    case 'flip':
      return [effectXor, effect.bits.reduce((mask, bit) => mask ^ (1 << bit), 0) >>> 0]
    case 'stuck':
      return effect.at === 1 ? [effectOr, (1 << effect.bit) >>> 0] : [effectAnd, ~(1 << effect.bit) >>> 0]
    case 'carry':
      return [effectCarry, (effect.sign * 2 ** effect.bit) >>> 0]
    case 'set':
      return [effectSet, Number(patternOf(effect.value, format))]
    case 'add':
      return [effectAdd, Number(patternOf(effect.value, format === 'float32' ? 'float32' : 'int32'))]
    case 'drop-term':
      return [effectDropTerm, 0]
    case 'double-term':
      return [effectDoubleTerm, 0]
  }
}
