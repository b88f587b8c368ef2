import { ftBuild } from '../../tsup.base.ts'

// '#csv-parse' is left to whoever bundles or runs the package: Node and pages take different entries
export default ftBuild({ entries: { 'cli/main': 'src/cli/main.ts' }, options: { external: [/^node:/, '#csv-parse'] } })
