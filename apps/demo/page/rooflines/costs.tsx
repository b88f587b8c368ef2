// Extra time of the guided choice beside one scheme for all layers.
import { percent } from '../ui/controls.tsx'

interface CostsProps {
  readonly guided: number
  readonly schemes: ReadonlyMap<string, number>
  readonly chosen: string
}

const shown: readonly (readonly [scheme: string, name: string])[] = [
  ['global', 'all as a whole'],
  ['thread-one-sided', 'all in own threads'],
  ['replication', 'all twice'],
]

export function Costs({ guided, schemes, chosen }: CostsProps) {
  const rows = [
    ['guided', 'guided', guided] as const,
    ...shown.map(([scheme, name]) => [scheme, name, schemes.get(scheme) ?? NaN] as const),
  ]
  const largest = Math.max(...rows.map(([, , value]) => value))
  return (
    <section aria-label="Extra time by choice">
      <h3>Extra time for protection</h3>
      <dl className="costs">
        {rows.map(([scheme, name, value]) => (
          <div key={scheme} className={scheme === chosen ? 'chosen' : ''}>
            <dt>{name}</dt>
            <dd>
              <span style={{ width: `${(100 * value) / largest}%` }} />
              {percent(value)}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
