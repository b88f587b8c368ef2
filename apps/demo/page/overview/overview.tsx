// The story, and its numbers: measured by the command itself when a server is behind the page.
import { useEffect, useRef, useState } from 'react'
import { Seed } from '../ui/controls.tsx'
import { number, useSettings } from '../ui/settings.ts'
import { Claims, type Claim } from './claims.tsx'

const specs = { seed: number(1, [1, 999_999]) }

interface Chapter {
  readonly tab: string
  readonly title: string
  readonly text: string
  readonly package: string
}

const chapters: readonly Chapter[] = [
  {
    tab: 'shards',
    title: 'Train while a server is killed',
    text: 'Ninety thousand embeddings lie on five servers, four rows of data to one of parity. When a server dies its rows are decoded from the others, to the last bit, and training goes on.',
    package: '@ft/ecrm',
  },
  {
    tab: 'plan',
    title: 'Choose how to protect each layer',
    text: 'A layer that waits for memory can check itself nearly for free in its own threads; one that computes all the time is cheaper to check as a whole. The roofline tells which is which.',
    package: '@ft/intensity-guide',
  },
  {
    tab: 'bits',
    title: 'Multiply while bits flip',
    text: 'Sums carried beside a matrix product tell that an output is wrong, where, and what it should be. The thresholds know what rounding can do.',
    package: '@ft/abft-kernels',
  },
  {
    tab: 'serve',
    title: 'Serve while workers stall',
    text: 'Two queries and a learned parity of both: when one answer is late it is reconstructed from the other two, and said to be so.',
    package: '@ft/parm',
  },
  {
    tab: 'trees',
    title: 'Rank with trees that drop trees',
    text: 'Boosted trees that leave some of their number out while the next one grows, so that late trees matter too.',
    package: '@ft/dart',
  },
]

export function Overview() {
  return (
    <article>
      <h2>Will this flight arrive late?</h2>
      <p className="lead">
        Three million flights of 2001, and what was known at each departure. Five systems train on them, choose a
        protection, multiply, serve and rank while servers are killed, bits flip and workers stall. Each is a package of
        its own; here each has a tab in which you can break it.
      </p>
      <ol className="chapters">
        {chapters.map(({ tab, title, text, package: name }) => (
          <li key={tab}>
            <a href={`#${tab}`}>{title}</a>
            <p>{text}</p>
            <code>{name}</code>
          </li>
        ))}
      </ol>
      <Numbers />
    </article>
  )
}

type State = 'asking' | 'static' | 'ready' | 'running' | 'done' | 'failed'

function Numbers() {
  const [{ seed }, change] = useSettings('story', specs)
  const [state, setState] = useState<State>('asking')
  const [claims, setClaims] = useState<readonly Claim[]>([])
  const [note, setNote] = useState('')
  const stream = useRef<EventSource>(undefined)
  useEffect(() => {
    fetch('api/hello').then(
      (response) => setState(response.ok ? 'ready' : 'static'),
      () => setState('static'),
    )
    return () => stream.current?.close()
  }, [])
  const run = () => {
    setClaims([])
    setNote('reading the flights')
    setState('running')
    const source = new EventSource(`api/story?seed=${seed}`)
    stream.current = source
    source.addEventListener('line', ({ data }: MessageEvent<string>) => {
      const line = JSON.parse(data) as Partial<Claim>
      if (line.verdict !== undefined) setClaims((all) => [...all, line as Claim])
    })
    source.addEventListener('note', ({ data }: MessageEvent<string>) => setNote(JSON.parse(data) as string))
    source.addEventListener('done', ({ data }: MessageEvent<string>) => {
      source.close()
      setState((JSON.parse(data) as { code: number | null }).code === 0 ? 'done' : 'failed')
    })
    source.onerror = () => {
      source.close()
      setState('failed')
    }
  }
  if (state === 'asking') return null
  return (
    <section className="numbers" aria-label="The numbers of the story">
      <h3>Its numbers, measured</h3>
      {state === 'static' ? (
        <p className="where">
          This is a static build: the tabs compute in your browser, and the serving cluster and the shards in it are
          simulated in one process. For the whole story with real processes, and its numbers here, run{' '}
          <code>npm run demo -- --serve</code>.
        </p>
      ) : (
        <>
          <p className="where">
            One run of the command on this machine, with real processes, real kills and a hundred thousand flights;
            about a minute. Every number has an interval and the command that repeats it.
          </p>
          <div className="actions">
            <button
              type="button"
              className="break"
              onClick={run}
              disabled={state === 'running'}
              data-testid="run-story"
            >
              {state === 'running' ? 'Running…' : claims.length > 0 ? 'Run it again' : 'Run the story'}
            </button>
            <div className="inline">
              <Seed value={seed} onChange={(value) => change({ seed: value })} />
            </div>
          </div>
          <p role="status" className="where">
            {state === 'running' ? note : state === 'failed' ? 'It ended with an error, or a claim was refuted.' : ''}
          </p>
        </>
      )}
      {claims.length > 0 ? <Claims claims={claims} /> : null}
    </section>
  )
}
