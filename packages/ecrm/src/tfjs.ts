export { createTfjsModel, type TfjsModelOptions } from './dlrm/tfjsModel.ts'
