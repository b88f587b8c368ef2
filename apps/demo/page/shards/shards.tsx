// Tab: embeddings on shards with parity; a shard is killed and rebuilt while the loss goes down.
import { useEffect, useMemo } from 'react'
import { Chart } from '../ui/chart.tsx'
import { Actions, Choose, Code, Controls, Figures, Seed, Slider, TabFrame } from '../ui/controls.tsx'
import { choice, number, useSettings } from '../ui/settings.ts'
import { Servers } from './drawing.tsx'
import type { Compared, View } from './messages.ts'
import { useShards } from './useShards.ts'

const specs = {
  where: choice(['page', 'server']),
  r: choice(['1', '2']),
  pace: number(25, [2, 60]),
  sweep: number(12, [1, 200]),
  seed: number(1, [1, 999_999]),
}

export default function Shards() {
  const [settings, change] = useSettings('shards', specs)
  const { view, compared, failure, served, start, kill, compare } = useShards()
  const { seed, r, pace, sweep } = settings
  const where = served ? settings.where : 'page'
  useEffect(() => {
    start({ seed, r: r === '2' ? 2 : 1, pace, sweep }, where)
  }, [start, seed, r, pace, sweep, where])
  const next = view ? (view.kills.length * 2 + 1) % view.servers.length : 1
  return (
    <TabFrame
      title="Shards that are killed while they learn"
      lead="The embeddings of a recommendation model lie on several servers, with parity rows in between. Kill a server: its rows come back from the others, those asked for first, and training does not stop. A twin that never fails is trained beside it on the same flights, to compare every bit."
      where={
        where === 'server'
          ? 'The shards are processes on the machine that serves this page; a kill is SIGKILL. The twin is in the same server’s memory.'
          : 'In this page the shards live in one worker’s memory, and a kill throws that memory away: the protocol is the package’s own, the processes are simulated. ' +
            (served
              ? 'Choose “on the server” for real processes and SIGKILL.'
              : 'With npm run demo -- --serve there are real processes.')
      }
      failure={failure}
    >
      <Controls>
        {served ? (
          <Choose
            label="Shards"
            spec={specs.where}
            value={where}
            onChange={(value) => change({ where: value })}
            names={{ page: 'in this page', server: 'on the server, real processes' }}
          />
        ) : null}
        <Choose label="Parity rows a stripe (r)" spec={specs.r} value={r} onChange={(value) => change({ r: value })} />
        <Slider label="Steps a second" spec={specs.pace} value={pace} onChange={(value) => change({ pace: value })} />
        <Slider
          label="Rebuild"
          spec={specs.sweep}
          value={sweep}
          onChange={(value) => change({ sweep: value })}
          show={(v) => `${v} stripes / 20 ms`}
        />
        <Seed value={seed} onChange={(value) => change({ seed: value })} />
      </Controls>
      <Actions breakIt={`Break it: kill server ${next + 1}`} onBreak={() => kill(next)} disabled={!view}>
        <button type="button" onClick={compare} disabled={!view || view.step === 0}>
          Compare every bit
        </button>
        <button type="button" onClick={() => start({ seed, r: r === '2' ? 2 : 1, pace, sweep }, where)}>
          Start over
        </button>
      </Actions>
      {view ? (
        <Running view={view} compared={compared} onKill={kill} />
      ) : (
        <p className="where">{failure === undefined ? 'starting…' : ''}</p>
      )}
      <Code>{code(r)}</Code>
    </TabFrame>
  )
}

const lines = [
  { name: 'struck', tone: 'accent' },
  { name: 'twin that never fails', tone: 'text', dash: [3, 5] },
] as const

interface RunningProps {
  readonly view: View
  readonly compared: Compared | undefined
  readonly onKill: (server: number) => void
}

function Running({ view, compared, onKill }: RunningProps) {
  const { losses, twinLosses, kills, servers, step, rows, unlike, replaced, lost, longestMs, recoveryMs } = view
  const data = useMemo(() => {
    const x = losses.map((_, i) => i + 1)
    return [x, smooth(losses), smooth(twinLosses)]
  }, [losses, twinLosses])
  const marks = useMemo(() => kills.map(({ step: at, server }) => ({ x: at, label: `server ${server + 1}` })), [kills])
  const missing = servers.reduce((sum, server) => sum + server.missing, 0)
  return (
    <div
      data-testid="shards-result"
      data-step={step}
      data-kills={kills.length}
      data-missing={missing}
      data-unlike={unlike}
      data-replaced={replaced}
      data-compared={compared?.step ?? -1}
      data-differing={compared?.differing ?? -1}
    >
      <Servers servers={servers} onKill={onKill} />
      <p className="where keys">
        <span className="cell data" /> data rows <span className="cell parity" /> parity rows{' '}
        <span className="cell gone" /> lost, not yet rebuilt; a cell is a share of rows
      </p>
      <Chart
        title="Loss while training"
        x="step"
        y="log loss, mean of 25 steps"
        lines={lines}
        data={data}
        marks={marks}
        height={220}
      />
      <Figures
        items={[
          ['Steps', step.toLocaleString('en'), `${rows.toLocaleString('en')} embeddings`],
          ['Kills', String(kills.length), `${replaced} servers replaced`],
          ['Rows to rebuild', missing.toLocaleString('en')],
          ['Last rebuild took', recoveryMs === undefined ? '–' : `${(recoveryMs / 1000).toFixed(1)} s`],
          ['Longest step', `${longestMs.toFixed(0)} ms`, 'kills included'],
          ['Steps whose loss differs from the twin’s', String(unlike)],
          ['Rows lost for good', String(lost)],
          [
            'Numbers that differ',
            compared === undefined ? '–' : String(compared.differing),
            compared === undefined
              ? 'not compared yet'
              : `of ${compared.numbers.toLocaleString('en')}, after step ${compared.step}`,
          ],
        ]}
      />
    </div>
  )
}

function smooth(values: readonly number[]): (number | null)[] {
  let sum = 0
  return values.map((value, i) => {
    sum += value - (values[i - 25] ?? 0)
    return i < 9 ? null : sum / Math.min(i + 1, 25)
  })
}

const code = (r: string): string => `
import { openShards, train } from '@ft/ecrm'

const store = await openShards({ tables, d: 16, k: 4, r: ${r}, servers: ${4 + Number(r)} })
const training = train(samples, { store, batch: 128 })
store.kill(1)              // SIGKILL: nothing else to do
await training
await store.recovered()    // [] : no row was lost
`
