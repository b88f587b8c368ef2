// Claiming the nodes of a run: whoever claims them later has the greater number, and earlier runs of the same name write no more.
import type { Run } from './part.ts'
import { connectNode, type NodeOptions, type RedisNode } from './node.ts'
import { takeNode } from './scripts.ts'

/**
 * Claims those nodes that answer, and takes away what earlier runs of the name left there.
 *
 * @param run - undefined: a new one, numbered after every earlier one that the nodes know
 */
export async function claimNodes(
  nodes: readonly NodeOptions[],
  { keyspace, run }: { keyspace: string; run: Run | undefined },
): Promise<Run> {
  const links = (await Promise.allSettled(nodes.map(connectNode))).flatMap((one) =>
    one.status === 'fulfilled' ? [one.value] : [],
  )
  const owner = ({ tag }: RedisNode): string => `${keyspace}:{${tag}}owner`
  try {
    const owners = await Promise.all(links.map((link) => link.client.get(owner(link)).catch(() => null)))
    const claimed = run ?? {
      number: 1 + Math.max(0, ...owners.map((text) => Number.parseInt(text ?? '0', 10) || 0)),
      id: crypto.randomUUID(),
    }
    // What cannot be claimed cannot be opened either; whoever needs it hears of it then.
    await Promise.allSettled(
      links.map(async (link) => {
        await link.client.call('EVAL', takeNode, 1, owner(link), claimed.number, claimed.id)
        await clear(link, { keyspace, number: claimed.number })
      }),
    )
    return claimed
  } finally {
    for (const link of links) link.drop()
  }
}

/** Keys of a node that a sweep over them looks at in one go. */
const keysALook = 1_000

async function clear({ client, tag }: RedisNode, { keyspace, number }: { keyspace: string; number: number }) {
  const prefix = `${keyspace}:{${tag}}`
  let cursor = '0'
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', keysALook)
    const old = keys.filter((key) => key !== `${prefix}owner` && !key.startsWith(`${prefix}${number}.`))
    if (old.length > 0) await client.unlink(...old)
    cursor = next
  } while (cursor !== '0')
}
