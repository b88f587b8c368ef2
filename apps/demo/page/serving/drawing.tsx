// A cluster drawn: each worker with its queue, stopped and dead ones as such.
import { memo } from 'react'
import type { ClusterView, WorkerView } from './messages.ts'

const SHOWN = 16

export const ClusterDrawing = memo(function ClusterDrawing({ cluster }: { readonly cluster: ClusterView }) {
  const { name, workers, open, now } = cluster
  return (
    <section className="cluster" aria-label={`${name}: ${open} open queries`}>
      <h3>
        {name} <small>{open} open</small>
      </h3>
      <ul>
        {workers.map((worker) => (
          <Row key={worker.name} worker={worker} />
        ))}
      </ul>
      <p className="where">{now.reconstructed > 0 ? `${now.reconstructed.toLocaleString('en')} reconstructed` : ' '}</p>
    </section>
  )
})

function Row({ worker: { name, role, state, queue } }: { readonly worker: WorkerView }) {
  return (
    <li className={`${role} ${state}`} aria-label={`${name}: ${state}, ${queue} waiting`}>
      <span>{name}</span>
      <svg viewBox={`0 0 ${SHOWN * 10} 12`} aria-hidden="true">
        {Array.from({ length: Math.min(queue, SHOWN) }, (_, i) => (
          <rect key={i} x={i * 10 + 1} y={1} width={8} height={10} />
        ))}
      </svg>
      <em>{state !== 'idle' && state !== 'busy' ? state : queue > SHOWN ? `+${queue - SHOWN}` : ''}</em>
    </li>
  )
}
