import { ftBuild } from '../../tsup.base.ts'

export default ftBuild({ entries: { 'cli/main': 'src/cli/main.ts' } })
