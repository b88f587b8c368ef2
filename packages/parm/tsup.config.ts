import { ftBuild } from '../../tsup.base.ts'

export default ftBuild()
