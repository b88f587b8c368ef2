// Tab: clusters that serve, one of whose workers stalls or dies.
import { useCallback, useEffect, useState } from 'react'
import { Chart } from '../ui/chart.tsx'
import { Actions, Choose, Code, Controls, percent, Seed, Slider, TabFrame } from '../ui/controls.tsx'
import { choice, number, useSettings } from '../ui/settings.ts'
import { useRun } from '../ui/useRun.ts'
import { ClusterDrawing } from './drawing.tsx'
import { binEdges, type ClusterView, type Order, type Tail, type View } from './messages.ts'

const specs = {
  where: choice(['page', 'server']),
  load: number(0.5, [0.1, 0.95], 0.05),
  k: number(2, [2, 4]),
  late: number(0.01, [0, 0.1], 0.005),
  patience: number(30, [10, 200], 5),
  speed: number(1, [0.1, 4], 0.1),
  seed: number(1, [1, 999_999]),
}

const begin = () => new Worker(new URL('./serving.worker.ts', import.meta.url), { type: 'module' })

export default function Serving() {
  const [settings, change] = useSettings('serve', specs)
  const [view, setView] = useState<View>()
  const run = useRun<Order, View>({ begin, path: 'serving', hear: setView })
  const { served, tell, failure } = run
  const { seed, load, k, late, patience, speed } = settings
  const where = served ? settings.where : 'page'
  const start = useCallback(() => {
    setView(undefined)
    const own = { seed, load, k, late, patience }
    run.start(where, { kind: 'start', load: own }, own)
  }, [run.start, where, seed, load, k, late, patience])
  useEffect(() => tell({ kind: 'speed', speed }, ''), [tell, speed])
  // On the server each change starts processes anew: not while a slider still moves
  useEffect(() => {
    const timer = setTimeout(start, where === 'server' ? 600 : 0)
    return () => clearTimeout(timer)
  }, [start, where])
  const strike = (how: 'stall' | 'kill') => tell({ kind: 'break', how }, `break?how=${how}`)
  return (
    <TabFrame
      title="Serving while workers stall and die"
      lead="Every k queries form a group, and a parity of them goes to a worker of its own. When one answer is late it is decoded from the others and the parity’s. The same queries, at the same times, go to as many workers without coding, and to as many that send late queries a second time."
      where={
        (where === 'server'
          ? 'Real: two gateways and their workers are processes on the machine that serves this page, asked over HTTP; a stop is SIGSTOP, a kill SIGKILL. A query takes 20 ms. '
          : 'Simulated in your browser: the groups, codes and policies are the package’s own, over a virtual clock; workers are queues of 10 ms a query. ' +
            (served
              ? 'Choose “on the server” for real processes. '
              : 'With npm run demo -- --serve there are real processes. ')) +
        'The model is linear, so reconstructions are exact here; learned parity models are approximate.'
      }
      failure={failure}
    >
      <Controls>
        {served ? (
          <Choose
            label="Workers"
            spec={specs.where}
            value={where}
            onChange={(value) => change({ where: value })}
            names={{ page: 'simulated in this page', server: 'on the server, real processes' }}
          />
        ) : null}
        <Slider
          label="Load"
          spec={specs.load}
          value={load}
          onChange={(value) => change({ load: value })}
          show={percent}
        />
        <Slider label="Queries a group (k)" spec={specs.k} value={k} onChange={(value) => change({ k: value })} />
        <Slider
          label="Responses that are late"
          spec={specs.late}
          value={late}
          onChange={(value) => change({ late: value })}
          show={percent}
        />
        <Slider
          label="Late after"
          spec={specs.patience}
          value={patience}
          onChange={(value) => change({ patience: value })}
          show={(v) => `${v} ms`}
        />
        {where === 'page' ? (
          <Slider
            label="Speed"
            spec={specs.speed}
            value={speed}
            onChange={(value) => change({ speed: value })}
            show={(v) => `× ${v.toFixed(1)}`}
          />
        ) : null}
        <Seed value={seed} onChange={(value) => change({ seed: value })} />
      </Controls>
      <Actions breakIt="Break it: stop a worker" onBreak={() => strike('stall')} disabled={!view}>
        <button type="button" onClick={() => strike('kill')} disabled={!view}>
          Kill a worker
        </button>
        <button type="button" onClick={start} disabled={!view}>
          Start over
        </button>
      </Actions>
      {view ? (
        <Clusters view={view} simulated={where === 'page'} />
      ) : (
        <p className="where">{failure === undefined ? 'starting…' : ''}</p>
      )}
      <Code>{code(settings)}</Code>
    </TabFrame>
  )
}

const lines = [
  { name: 'as many workers', tone: 'text', stepped: true },
  { name: 'hedging', tone: 'muted', dash: [5, 4], stepped: true },
  { name: 'coded', tone: 'accent', stepped: true },
] as const
/** The server runs two of the three. */
const real = lines.filter(({ name }) => name !== 'hedging')
/** Below what is shown: a logarithm has no zero. */
const FLOOR = 1e-5
const middles = binEdges.slice(0, -1)
const range = { x: [5, 1600], y: [1e-4, 1] } as const

function Clusters({ view, simulated }: { readonly view: View; readonly simulated: boolean }) {
  const { clusters, seconds, broken } = view
  const data = [middles, ...clusters.map(({ histogram }) => histogram.map((share) => Math.max(share, FLOOR)))]
  return (
    <>
      <p className="where" role="status">
        {seconds.toFixed(1)} {simulated ? 'simulated ' : ''}seconds
        {broken === undefined ? '; nothing is broken' : `; ${broken}`}
      </p>
      <div className="clusters">
        {clusters.map((cluster) => (
          <ClusterDrawing key={cluster.name} cluster={cluster} />
        ))}
      </div>
      <Chart
        title={`Latencies${broken === undefined ? '' : ' since the break'}`}
        x="latency [ms]"
        y="share of answers"
        lines={simulated ? lines : real}
        data={data}
        range={range}
        logX
        logY
        height={220}
      />
      <Tails clusters={clusters} />
    </>
  )
}

function Tails({ clusters }: { readonly clusters: readonly ClusterView[] }) {
  const rows = clusters.flatMap(({ name, before, now }) => [
    ...(before ? [{ name, when: 'before', tail: before }] : []),
    { name, when: before ? 'since' : '', tail: now },
  ])
  const coded = clusters.find(({ name }) => name === 'coded')?.now
  return (
    <div
      className="scroll"
      data-testid="serve-result"
      data-answered={coded?.answered ?? 0}
      data-reconstructed={coded?.reconstructed ?? 0}
      data-wrong={coded?.wrong ?? 0}
      data-broken={clusters.some(({ before }) => before)}
    >
      <table>
        <thead>
          <tr>
            <th scope="col">Cluster</th>
            <th scope="col">{rows.some(({ when }) => when) ? 'Break' : ''}</th>
            {['Answered', 'p50 [ms]', 'p99 [ms]', 'p99.9 [ms]', 'Reconstructed', 'Unanswered', 'Wrong'].map((name) => (
              <th key={name} scope="col" className="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, when, tail }) => (
            <tr key={`${name} ${when}`}>
              <td>{name}</td>
              <td>{when}</td>
              {cells(tail).map((text, i) => (
                <td key={i} className="number">
                  {text}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function cells({ answered, p50, p99, p999, reconstructed, unanswered, wrong }: Tail): string[] {
  const ms = (value: number) => (Number.isFinite(value) ? value.toFixed(1) : '–')
  return [
    answered.toLocaleString('en'),
    ms(p50),
    ms(p99),
    ms(p999),
    percent(reconstructed / answered),
    String(unanswered),
    String(wrong),
  ]
}

const code = (o: { k: number; patience: number }): string => `
import { createGateway, hold, sum } from '@ft/parm'

const gateway = await createGateway({
  model: 'late-arrival',
  instances,        // 4 workers or Open Inference servers
  parityInstances,  // ${Math.ceil(4 / o.k)} with the parity model
  code: sum({ k: ${o.k} }),
  policy: hold({ afterMs: ${o.patience} }),
  deadlineMs: 1500,
})
`
