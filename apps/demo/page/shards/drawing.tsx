// Servers drawn: each cell stands for an equal share of a server's rows, data first, then parity.
import type { ServerView } from './messages.ts'

const CELLS = 60
const ACROSS = 10

interface ServersProps {
  readonly servers: readonly ServerView[]
  readonly onKill: (server: number) => void
}

export function Servers({ servers, onKill }: ServersProps) {
  return (
    <div className="servers">
      {servers.map((server, i) => (
        <Server key={i} number={i + 1} server={server} onKill={() => onKill(i)} />
      ))}
    </div>
  )
}

function Server({
  number,
  server,
  onKill,
}: {
  readonly number: number
  readonly server: ServerView
  readonly onKill: () => void
}) {
  const { data, parity, missing, pulled, pushed } = server
  const total = data + parity
  const parityFrom = Math.round((CELLS * data) / total)
  // Rows are recovered from the first on, and when they are asked for
  const gone = Math.ceil((CELLS * missing) / total)
  const state = missing > 0 ? `${missing.toLocaleString('en')} rows to recover` : 'whole'
  return (
    <section aria-label={`Server ${number}: ${state}`}>
      <h3>Server {number}</h3>
      <svg viewBox={`0 0 ${ACROSS * 10} ${(CELLS / ACROSS) * 10}`} aria-hidden="true">
        {Array.from({ length: CELLS }, (_, i) => (
          <rect
            key={i}
            className={`${i >= parityFrom ? 'parity' : 'data'}${i >= CELLS - gone ? ' gone' : ''}`}
            x={(i % ACROSS) * 10 + 0.8}
            y={Math.floor(i / ACROSS) * 10 + 0.8}
            width={8.4}
            height={8.4}
          />
        ))}
      </svg>
      <p className="where">
        {missing > 0
          ? `${((100 * missing) / total).toFixed(0)} % to rebuild`
          : `${pulled.toLocaleString('en')} rows read, ${pushed.toLocaleString('en')} written`}
      </p>
      <button type="button" onClick={onKill} aria-label={`Kill server ${number}`}>
        Kill
      </button>
    </section>
  )
}
