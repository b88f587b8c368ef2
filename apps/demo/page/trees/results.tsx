// The two ensembles' curves and table, beside those from before something was broken.
import { useMemo } from 'react'
import { Chart, type LineSpec } from '../ui/chart.tsx'
import type { Grown, Loaded, Name, Round } from './messages.ts'

interface Ensemble {
  readonly rounds: readonly Round[]
  readonly grown: Grown | undefined
}
export type Run = Readonly<Record<Name, Ensemble>> & { readonly loaded: Loaded | undefined }

const bare: Ensemble = { rounds: [], grown: undefined }
export const empty: Run = { MART: bare, DART: bare, loaded: undefined }

const lines: readonly LineSpec[] = [
  { name: 'MART', tone: 'text' },
  { name: 'DART', tone: 'accent' },
  { name: 'always the late rate', tone: 'muted', dash: [2, 4] },
]
const withBefore: readonly LineSpec[] = [
  ...lines,
  { name: 'MART before', tone: 'text', dash: [6, 4] },
  { name: 'DART before', tone: 'accent', dash: [6, 4] },
]

interface CurvesProps {
  readonly run: Run
  readonly before: Run | undefined
  readonly round: number
}

export function Curves({ run, before, round }: CurvesProps) {
  const data = useMemo(() => {
    const earlier = before ? [before.MART, before.DART] : []
    const length = Math.max(2, ...[run.MART, run.DART, ...earlier].map(({ rounds }) => rounds.length))
    const x = Array.from({ length }, (_, i) => i + 1)
    const column = ({ rounds }: Ensemble, until: number) =>
      x.map((at) => (at <= until ? (rounds[at - 1]?.loss ?? null) : null))
    const base = x.map(() => run.loaded?.base ?? null)
    return [x, column(run.MART, round), column(run.DART, round), base, ...earlier.map((one) => column(one, length))]
  }, [run, before, round])
  return (
    <Chart
      title="Log loss of later flights"
      x="round"
      y="log loss"
      lines={before ? withBefore : lines}
      data={data}
      height={250}
    />
  )
}

export function Results({
  run,
  before,
  finished,
}: {
  readonly run: Run
  readonly before: Run | undefined
  readonly finished: boolean
}) {
  const rows = (
    [
      ['before', before],
      ['now', run],
    ] as const
  ).flatMap(([when, of]) =>
    of === undefined
      ? []
      : (['MART', 'DART'] as const).map((name) => ({
          when,
          name,
          grown: of[name].grown,
          turned: of.loaded?.turned ?? 0,
        })),
  )
  return (
    <div className="scroll" data-testid="trees-result" data-finished={finished} data-turned={run.loaded?.turned ?? 0}>
      <table>
        <caption className="where">
          {run.loaded
            ? `${run.loaded.train.toLocaleString('en')} flights learn, ${run.loaded.later.toLocaleString('en')} later ones judge.`
            : 'Loading flights…'}
        </caption>
        <thead>
          <tr>
            <th scope="col">{before ? 'When' : ''}</th>
            <th scope="col">Ensemble</th>
            <th scope="col" className="number">
              Labels turned
            </th>
            <th scope="col" className="number">
              Best round
            </th>
            <th scope="col" className="number">
              Log loss there
            </th>
            <th scope="col" className="number">
              At the end
            </th>
            <th scope="col" className="number">
              AUC
            </th>
            <th scope="col" className="number">
              Time
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ when, name, grown, turned }) => (
            <tr key={`${when} ${name}`}>
              <td>{before ? when : ''}</td>
              <td>{name}</td>
              <td className="number">{turned.toLocaleString('en')}</td>
              <td className="number">{grown?.best.round ?? '…'}</td>
              <td className="number">{grown?.best.loss.toFixed(4) ?? '…'}</td>
              <td className="number">{grown?.last.toFixed(4) ?? '…'}</td>
              <td className="number">{grown?.auc.toFixed(4) ?? '…'}</td>
              <td className="number">{grown ? `${(grown.milliseconds / 1000).toFixed(1)} s` : '…'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
