// A way to a Redis node on which something can happen between two messages, whatever is said on it.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens, at which message of all those counted, and whether that message still arrives. */
export interface Strike {
  left: number
  readonly arrives: boolean
  act(): void
}

export interface Way {
  readonly address: string
  close(): void
}

/** @param strike - asked at every message: one for all ways of a test */
export async function wayTo(address: string, strike: () => Strike | undefined): Promise<Way> {
  const port = Number(address.split(':')[1])
  const sockets = new Set<Socket>()
  const server = createServer((inner) => {
    const outer = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one)
      one.setNoDelay(true)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.on('data', (bytes) => {
        const due = strike()
        if (due !== undefined && --due.left === 0) {
          due.act()
          // Both ways are closed to what was said before, but for this.
          if (due.arrives) other.end(bytes)
          one.destroy()
        } else other.write(bytes)
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
