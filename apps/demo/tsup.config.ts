import { ftBuild } from '../../tsup.base.ts'

export default ftBuild({
  entries: { main: 'src/main.ts', worker: 'src/serving/worker.ts', linear: 'src/serving/linear.ts' },
  options: { format: ['esm'], dts: false },
})
