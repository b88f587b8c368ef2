// Build time: @ft/ecrm reaches for Node's modules only when shards are processes, which a page never asks for. A bundler
// follows that import all the same: it finds modules without content.
import { isBuiltin } from 'node:module'
import type { Plugin } from 'vite'

const NAME = '\0without-node'

export function withoutNode(): Plugin {
  return {
    name: 'ft-without-node',
    enforce: 'pre',
    resolveId: (source) => (isBuiltin(source) ? NAME : undefined),
    load: (id) => (id === NAME ? { code: 'export default {}', syntheticNamedExports: true } : undefined),
  }
}
