// Parity rows that are of no use are so for every owner: the one that finds it out may die in the same moment as the node whose rows
// would show it.
import type { Fleet } from './fleet.ts'
import { never } from './records.ts'

/** Gives parity rows of a server up, here and on its node: they get versions that no row has, until they are encoded anew. */
export async function spoil(
  { spec, shapes, parts, rows }: Fleet,
  server: number,
  locals: readonly number[],
): Promise<void> {
  if (locals.length === 0) return
  for (const local of locals) rows[server]!.lose('parity', local)
  const { words } = shapes.parity
  const records = new Uint32Array(locals.length * words)
  for (let i = 0; i < locals.length; i++) records.fill(never, i * words + spec.width, (i + 1) * words)
  await parts[server]?.write(shapes.parity, locals, records)
}
