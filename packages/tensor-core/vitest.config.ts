import { ftTests } from '../../vitest.base.ts'

export default ftTests()
