// The page: a header with tabs, and the tab that the address names.
import { lazy, Suspense, useEffect, useRef, type ComponentType } from 'react'
import { Overview } from './overview/overview.tsx'
import { useAddress } from './ui/settings.ts'

interface Tab {
  readonly id: string
  readonly name: string
  readonly view: ComponentType
}

const story: Tab = { id: 'story', name: 'The story', view: Overview }
const tabs: readonly Tab[] = [
  story,
  { id: 'bits', name: 'Bits', view: lazy(() => import('./bits/bits.tsx')) },
  { id: 'plan', name: 'Rooflines', view: lazy(() => import('./rooflines/rooflines.tsx')) },
  { id: 'serve', name: 'Serving', view: lazy(() => import('./serving/serving.tsx')) },
  { id: 'shards', name: 'Shards', view: lazy(() => import('./shards/shards.tsx')) },
  { id: 'trees', name: 'Trees', view: lazy(() => import('./trees/trees.tsx')) },
]

export function App() {
  const { tab } = useAddress()
  const shown = tabs.find(({ id }) => id === tab) ?? story
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  useEffect(() => {
    document.title = `${shown.name} · Break it: fault tolerance for machine learning`
    // On a narrow window the row of tabs scrolls
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    if (!first.current) main.current?.focus({ preventScroll: true })
    first.current = false
  }, [shown])
  return (
    <>
      <header>
        <h1>Break it</h1>
        <p>Fault tolerance for machine learning, in your browser</p>
        <nav aria-label="Parts">
          {tabs.map(({ id, name }) => (
            <a key={id} href={`#${id}`} aria-current={id === shown.id ? 'page' : undefined}>
              {name}
            </a>
          ))}
        </nav>
      </header>
      <main ref={main} tabIndex={-1}>
        <Suspense fallback={<p className="where">Loading…</p>}>
          <shown.view key={shown.id} />
        </Suspense>
      </main>
    </>
  )
}
