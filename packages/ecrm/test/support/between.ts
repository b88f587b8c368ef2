// A way to a Redis node on which something can happen between two messages, whatever is said on it.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens, at which message of all those counted, and whether that message still arrives. */
export interface Strike {
  left: number
  readonly arrives: boolean
  act(): void
  /** Asked at every message, which waits meanwhile, instead of counting them. */
  due?(): Promise<boolean>
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
      const hit = (by: Strike, bytes: Buffer): void => {
        by.act()
        // Both ways are closed to what was said before, but for this.
        if (by.arrives) other.end(bytes)
        one.destroy()
      }
      one.on('data', (bytes: Buffer) => {
        const by = strike()
        if (by?.due !== undefined) {
          one.pause()
          void by.due().then((due) => {
            if (due && strike() === by) return hit(by, bytes)
            other.write(bytes)
            one.resume()
          })
        } else if (by !== undefined && --by.left === 0) hit(by, bytes)
        else other.write(bytes)
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
