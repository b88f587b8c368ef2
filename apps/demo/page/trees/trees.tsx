// Tab: boosted trees grow on real flights, with and without dropout.
import { useEffect, useRef, useState } from 'react'
import { Actions, Code, Controls, percent, Seed, Slider, TabFrame } from '../ui/controls.tsx'
import { number, useSettings } from '../ui/settings.ts'
import { useWorker } from '../ui/worker.ts'
import { Forest } from './forest.tsx'
import type { News, Order } from './messages.ts'
import { Curves, empty, Results, type Run } from './results.tsx'

const specs = {
  seed: number(1, [1, 999_999]),
  rounds: number(80, [10, 200], 10),
  depth: number(4, [2, 6]),
  mart: number(0.1, [0.02, 1], 0.02),
  dart: number(0.4, [0.02, 1], 0.02),
  drop: number(0.05, [0, 0.5], 0.01),
  noise: number(0, [0, 0.3], 0.01),
}

const start = () => new Worker(new URL('./trees.worker.ts', import.meta.url), { type: 'module' })

export default function Trees() {
  const [settings, change] = useSettings('trees', specs)
  const [run, setRun] = useState<Run>(empty)
  const [before, setBefore] = useState<Run>()
  const [failed, setFailed] = useState<string>()
  const current = useRef(-1)
  const { send, failure } = useWorker<Order, News>(start, (news) => {
    if (news.kind === 'failed') return setFailed(news.why)
    if (news.kind === 'loaded') {
      current.current = news.run
      return setRun({ ...empty, loaded: news })
    }
    if (news.run !== current.current) return
    setRun((run) => {
      const own = run[news.name]
      return {
        ...run,
        [news.name]: news.kind === 'round' ? { ...own, rounds: [...own.rounds, news] } : { ...own, grown: news },
      }
    })
  })
  const { seed, rounds, depth, mart, dart, drop, noise } = settings
  useEffect(() => {
    send({ kind: 'grow', seed, rounds, depth, martRate: mart, dartRate: dart, drop, noise })
  }, [send, seed, rounds, depth, mart, dart, drop, noise])
  const [round, setRound] = usePlayback(Math.max(run.MART.rounds.length, run.DART.rounds.length), run.loaded?.run)
  const finished = run.MART.grown !== undefined && run.DART.grown !== undefined
  const breakIt = () => {
    setBefore(finished ? run : undefined)
    change({ noise: noise === 0 ? 0.2 : 0 })
  }
  return (
    <TabFrame
      title="Trees that grow, and trees that are dropped"
      lead="Boosting adds one tree after the other, each correcting the sum so far; the first trees say nearly everything. DART leaves some trees out (grey) while the next one is fitted, and shares the weight among them."
      where="Both ensembles grow in your browser, in a worker, on flights of 2001 sampled when this page was built; later flights judge. Features know only what was known at departure."
      failure={failure ?? failed}
    >
      <Controls>
        <Slider
          label="Learning rate, MART"
          spec={specs.mart}
          value={mart}
          onChange={(value) => change({ mart: value })}
          show={(v) => v.toFixed(2)}
        />
        <Slider
          label="Learning rate, DART"
          spec={specs.dart}
          value={dart}
          onChange={(value) => change({ dart: value })}
          show={(v) => v.toFixed(2)}
        />
        <Slider
          label="Trees dropped"
          spec={specs.drop}
          value={drop}
          onChange={(value) => change({ drop: value })}
          show={percent}
        />
        <Slider label="Depth" spec={specs.depth} value={depth} onChange={(value) => change({ depth: value })} />
        <Slider label="Rounds" spec={specs.rounds} value={rounds} onChange={(value) => change({ rounds: value })} />
        <Slider
          label="Labels turned over"
          spec={specs.noise}
          value={noise}
          onChange={(value) => change({ noise: value })}
          show={percent}
        />
        <Seed value={seed} onChange={(value) => change({ seed: value })} />
      </Controls>
      <Actions
        breakIt={noise === 0 ? 'Break it: turn labels over' : 'Mend the labels'}
        onBreak={breakIt}
        disabled={!run.loaded}
      >
        <button type="button" onClick={() => change({ seed: (seed % 999_999) + 1 })}>
          Another seed
        </button>
      </Actions>
      <Curves run={run} before={before} round={round} />
      <div className="playback">
        <Slider
          label="Shown after round"
          spec={{ ...specs.rounds, min: 1, max: rounds, step: 1 }}
          value={Math.max(1, round)}
          onChange={setRound}
        />
      </div>
      <Forest name="MART" rounds={run.MART.rounds.slice(0, round)} />
      <Forest name="DART" rounds={run.DART.rounds.slice(0, round)} />
      <Results run={run} before={before} finished={finished} />
      <Code>{code(settings)}</Code>
    </TabFrame>
  )
}

/** Rounds come faster than eyes: they are shown one after the other, or at once to who prefers no motion. */
function usePlayback(length: number, run: number | undefined): readonly [number, (round: number) => void] {
  const [shown, setShown] = useState(0)
  const [playing, setPlaying] = useState(true)
  useEffect(() => {
    setShown(0)
    setPlaying(true)
  }, [run])
  useEffect(() => {
    if (!playing || shown >= length) return
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return setShown(length)
    const timer = setTimeout(() => setShown(shown + 1), 60)
    return () => clearTimeout(timer)
  }, [playing, shown, length])
  const choose = (round: number) => {
    setPlaying(false)
    setShown(round)
  }
  return [Math.min(shown, length), choose]
}

const code = (o: { dart: number; drop: number; depth: number; rounds: number; seed: number }): string => `
import { train } from '@ft/dart'

const { model, history, bestRound } = await train(
  { features, label, validation },
  {
    objective: 'logistic',
    rounds: ${o.rounds},
    maxDepth: ${o.depth},
    learningRate: ${o.dart},
    dropout: { dropRate: ${o.drop} }, // false: MART
    seed: ${o.seed},
    onRound: ({ round, dropped, weights }) => { /* what you see above */ },
  },
)
`
