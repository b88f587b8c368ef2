// Tab: clusters that serve, one of whose workers stalls or dies.
import { useEffect, useState } from 'react'
import { Chart } from '../ui/chart.tsx'
import { Actions, Code, Controls, percent, Seed, Slider, TabFrame } from '../ui/controls.tsx'
import { number, useSettings } from '../ui/settings.ts'
import { useWorker } from '../ui/worker.ts'
import { ClusterDrawing } from './drawing.tsx'
import { binEdges, type ClusterView, type Order, type Tail, type View } from './messages.ts'

const specs = {
  load: number(0.5, [0.1, 0.95], 0.05),
  k: number(2, [2, 4]),
  late: number(0.01, [0, 0.1], 0.005),
  patience: number(30, [10, 200], 5),
  speed: number(1, [0.1, 4], 0.1),
  seed: number(1, [1, 999_999]),
}

const start = () => new Worker(new URL('./serving.worker.ts', import.meta.url), { type: 'module' })

export default function Serving() {
  const [settings, change] = useSettings('serve', specs)
  const [view, setView] = useState<View>()
  const { send, failure } = useWorker<Order, View>(start, setView)
  const { seed, load, k, late, patience, speed } = settings
  useEffect(() => send({ kind: 'speed', speed }), [send, speed])
  useEffect(
    () => send({ kind: 'start', load: { seed, load, k, late, patience } }),
    [send, seed, load, k, late, patience],
  )
  return (
    <TabFrame
      title="Serving while workers stall and die"
      lead="Every k queries form a group, and a parity of them goes to a worker of its own. When one answer is late it is decoded from the others and the parity’s. The same queries, at the same times, go to as many workers without coding, and to as many that send late queries a second time."
      where="Simulated in your browser: the groups, codes and policies are the package’s own, over a virtual clock; workers are queues of 10 ms a query. The model is linear, so reconstructions are exact here; learned parity models are approximate. The command’s step “serve” does the same with real processes."
      failure={failure}
    >
      <Controls>
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
        <Slider
          label="Speed"
          spec={specs.speed}
          value={speed}
          onChange={(value) => change({ speed: value })}
          show={(v) => `× ${v.toFixed(1)}`}
        />
        <Seed value={seed} onChange={(value) => change({ seed: value })} />
      </Controls>
      <Actions breakIt="Break it: stop a worker" onBreak={() => send({ kind: 'break', how: 'stall' })} disabled={!view}>
        <button type="button" onClick={() => send({ kind: 'break', how: 'kill' })} disabled={!view}>
          Kill a worker
        </button>
        <button type="button" onClick={() => send({ kind: 'start', load: settings })} disabled={!view}>
          Start over
        </button>
      </Actions>
      {view ? <Clusters view={view} /> : <p className="where">starting…</p>}
      <Code>{code(settings)}</Code>
    </TabFrame>
  )
}

const lines = [
  { name: 'as many workers', tone: 'text', stepped: true },
  { name: 'hedging', tone: 'muted', dash: [5, 4], stepped: true },
  { name: 'coded', tone: 'accent', stepped: true },
] as const
/** Below what is shown: a logarithm has no zero. */
const FLOOR = 1e-5
const middles = binEdges.slice(0, -1)
const range = { x: [5, 1600], y: [1e-4, 1] } as const

function Clusters({ view: { clusters, seconds, broken } }: { readonly view: View }) {
  const data = [middles, ...clusters.map(({ histogram }) => histogram.map((share) => Math.max(share, FLOOR)))]
  return (
    <>
      <p className="where" role="status">
        {seconds.toFixed(1)} simulated seconds{broken === undefined ? '; nothing is broken' : `; ${broken}`}
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
        lines={lines}
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
  const ms = (value: number) => (Number.isNaN(value) ? '–' : value.toFixed(1))
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
