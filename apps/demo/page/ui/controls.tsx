// Controls and small parts that all tabs share.
import { useId, type ReactNode } from 'react'
import type { ChoiceSpec, NumberSpec } from './settings.ts'

interface SliderProps {
  readonly label: string
  readonly spec: NumberSpec
  readonly value: number
  readonly onChange: (value: number) => void
  readonly show?: (value: number) => string
  /** The slider moves in equal ratios. */
  readonly log?: boolean
}

export function Slider({ label, spec, value, onChange, show = String, log = false }: SliderProps) {
  const id = useId()
  const { min, max, step } = spec
  const [to, from] = log ? [Math.log2, (x: number) => Math.round(2 ** x)] : [(x: number) => x, (x: number) => x]
  return (
    <div className="control">
      <label htmlFor={id}>{label}</label>
      <output htmlFor={id}>{show(value)}</output>
      <input
        id={id}
        type="range"
        min={to(min)}
        max={to(max)}
        step={log ? 'any' : step}
        value={to(value)}
        aria-valuetext={show(value)}
        onChange={(event) => onChange(from(Number(event.target.value)))}
      />
    </div>
  )
}

interface ChooseProps<Name extends string> {
  readonly label: string
  readonly spec: ChoiceSpec<Name>
  readonly value: Name
  readonly onChange: (value: Name) => void
  readonly names?: Readonly<Partial<Record<Name, string>>>
}

export function Choose<Name extends string>({ label, spec, value, onChange, names }: ChooseProps<Name>) {
  const id = useId()
  return (
    <div className="control">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value as Name)}>
        {spec.values.map((name) => (
          <option key={name} value={name}>
            {names?.[name] ?? name}
          </option>
        ))}
      </select>
    </div>
  )
}

export function Seed({ value, onChange }: { readonly value: number; readonly onChange: (value: number) => void }) {
  const id = useId()
  return (
    <div className="control">
      <label htmlFor={id}>Seed</label>
      <input
        id={id}
        type="number"
        min={1}
        max={999999}
        step={1}
        value={value}
        onChange={(event) => {
          const next = Math.round(Number(event.target.value))
          if (next >= 1 && next <= 999999) onChange(next)
        }}
      />
    </div>
  )
}

export function Controls({ children }: { readonly children: ReactNode }) {
  return (
    <form className="controls" aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
      {children}
    </form>
  )
}

interface ActionsProps {
  readonly breakIt: string
  readonly onBreak: () => void
  readonly disabled?: boolean
  readonly children?: ReactNode
}

export function Actions({ breakIt, onBreak, disabled = false, children }: ActionsProps) {
  return (
    <div className="actions">
      <button type="button" className="break" onClick={onBreak} disabled={disabled} data-testid="break">
        {breakIt}
      </button>
      {children}
    </div>
  )
}

/** Key figures: a term and its value each, said to screen readers when they change. */
export function Figures({
  items,
}: {
  readonly items: readonly (readonly [name: string, value: string, note?: string])[]
}) {
  return (
    <dl className="figures">
      {items.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
          {note === undefined ? null : <p>{note}</p>}
        </div>
      ))}
    </dl>
  )
}

export function Code({ children }: { readonly children: string }) {
  return (
    <section className="code" aria-label="The code that does it">
      <h3>The code that does it</h3>
      <pre tabIndex={0}>
        <code>{children.trim()}</code>
      </pre>
    </section>
  )
}

interface TabProps {
  readonly title: string
  readonly lead: string
  /** What of it happens where, said plainly. */
  readonly where: string
  readonly failure?: string | undefined
  readonly children: ReactNode
}

export function TabFrame({ title, lead, where, failure, children }: TabProps) {
  return (
    <article>
      <h2>{title}</h2>
      <p className="lead">{lead}</p>
      <p className="where">{where}</p>
      {failure === undefined ? null : (
        <p className="failure" role="alert">
          {failure}
        </p>
      )}
      {children}
    </article>
  )
}

export const percent = (share: number): string => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–')
