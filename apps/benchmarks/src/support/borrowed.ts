// Peers that a package of ours installs for its own tests: taken from there, so that the benches carry no second copy.
import { createRequire } from 'node:module'

/** Requires `name` as the package `owner` sees it. @throws when it is not installed there */
export function borrowed<T>(owner: string, name: string): T {
  const manifest = createRequire(import.meta.url).resolve(`${owner}/package.json`)
  return createRequire(manifest)(name) as T
}
