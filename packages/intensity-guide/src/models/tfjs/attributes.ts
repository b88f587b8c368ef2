// Attributes of TensorFlow nodes in JSON: texts are base64, whole numbers are texts.
import { isRecord, type Json } from '../network.ts'

/** A list of whole numbers, or of texts with `kind` 's'; empty when the attribute is not there. */
export function list(attributes: Json, name: string): number[]
export function list(attributes: Json, name: string, kind: 's'): string[]
export function list(attributes: Json, name: string, kind: 'i' | 's' = 'i'): (number | string)[] {
  const attribute = attributes[name]
  const inner = isRecord(attribute) && isRecord(attribute['list']) ? attribute['list'][kind] : undefined
  if (!Array.isArray(inner)) return []
  return inner.map((item: unknown) => (kind === 's' ? decoded(item) : Number(item)))
}

/** A text, or with `kind` 'i' a whole number as a text; empty when the attribute is not there. */
export function text(attributes: Json, name: string, kind: 'i' | 's' = 's'): string {
  const attribute = attributes[name]
  if (!isRecord(attribute)) return ''
  return kind === 's' ? decoded(attribute['s']) : String(attribute['i'] ?? '')
}

export function flag(attributes: Json, name: string): boolean {
  const attribute = attributes[name]
  return isRecord(attribute) && attribute['b'] === true
}

function decoded(value: unknown): string {
  if (typeof value !== 'string') return ''
  try {
    return atob(value)
  } catch {
    return ''
  }
}
