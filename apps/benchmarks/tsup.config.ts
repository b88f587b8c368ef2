import { ftBuild } from '../../tsup.base.ts'

export default ftBuild({
  entries: { main: 'src/main.ts', flightsChild: 'src/flightsChild.ts' },
  options: { format: ['esm'], dts: false },
})
