// Settings live in the address: #tab?name=value. A link repeats what somebody saw.
import { useCallback, useSyncExternalStore } from 'react'

type Value = number | string
export interface NumberSpec {
  readonly kind: 'number'
  readonly initial: number
  readonly min: number
  readonly max: number
  readonly step: number
}
export interface ChoiceSpec<Name extends string = string> {
  readonly kind: 'choice'
  readonly initial: Name
  readonly values: readonly Name[]
}
export type Specs = Readonly<Record<string, NumberSpec | ChoiceSpec>>
export type Settings<S extends Specs> = {
  readonly [Key in keyof S]: S[Key] extends ChoiceSpec<infer Name> ? Name : number
}

export const number = (initial: number, [min, max]: readonly [number, number], step = 1): NumberSpec => {
  return { kind: 'number', initial, min, max, step }
}
export const choice = <const Name extends string>(
  values: readonly [Name, ...Name[]],
  initial: Name = values[0],
): ChoiceSpec<Name> => {
  return { kind: 'choice', values, initial }
}

const subscribe = (changed: () => void) => {
  addEventListener('hashchange', changed)
  return () => removeEventListener('hashchange', changed)
}

/** The tab and the text after it. */
export function useAddress(): { readonly tab: string; readonly query: string } {
  const hash = useSyncExternalStore(subscribe, () => location.hash)
  const [tab = '', query = ''] = hash.slice(1).split('?')
  return { tab, query }
}

/** A tab's settings and a function that changes some of them. What the address says wrongly is taken for its default. */
export function useSettings<const S extends Specs>(
  tab: string,
  specs: S,
): readonly [Settings<S>, (change: Partial<Settings<S>>) => void] {
  const { query } = useAddress()
  const settings = readSettings(specs, query)
  const change = useCallback(
    (some: Partial<Settings<S>>) => {
      const next = { ...readSettings(specs, location.hash.split('?')[1] ?? ''), ...some }
      const text = new URLSearchParams(Object.entries(next).map(([name, value]) => [name, String(value)]))
      history.replaceState(null, '', `#${tab}?${text.toString()}`)
      dispatchEvent(new HashChangeEvent('hashchange'))
    },
    [tab, specs],
  )
  return [settings, change]
}

export function readSettings<S extends Specs>(specs: S, query: string): Settings<S> {
  const given = new URLSearchParams(query)
  const values = Object.entries(specs).map(([name, spec]): [string, Value] => {
    const text = given.get(name)
    if (text === null) return [name, spec.initial]
    if (spec.kind === 'choice') return [name, spec.values.includes(text) ? text : spec.initial]
    const value = Number(text)
    return [name, text !== '' && Number.isFinite(value) ? Math.min(spec.max, Math.max(spec.min, value)) : spec.initial]
  })
  return Object.fromEntries(values) as Settings<S>
}
