// Documents with one field gone or changed: every field, every kind of value in its place.
const others: readonly unknown[] = [null, -1.5, 0, 'x', 'toString', true, [], {}]

interface Damaged {
  /** Path of the field and what became of it. */
  readonly where: string
  readonly gone: boolean
  readonly text: string
}

export function* damaged(document: object): Generator<Damaged> {
  for (const path of pathsOf(JSON.parse(JSON.stringify(document)))) {
    yield { where: `${path.join('.')} left out`, gone: true, text: changed(document, path, undefined) }
    for (const other of others)
      yield { where: `${path.join('.')} ${JSON.stringify(other)}`, gone: false, text: changed(document, path, other) }
  }
}

function* pathsOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) yield* pathsOf(inner, [...path, name])
}

function changed(document: object, path: readonly string[], other: unknown): string {
  const copy = JSON.parse(JSON.stringify(document)) as Record<string, unknown>
  let at = copy
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>
  const last = path.at(-1) as string
  if (other !== undefined) at[last] = other
  else if (Array.isArray(at)) at.splice(Number(last), 1)
  else delete at[last]
  return JSON.stringify(copy)
}
