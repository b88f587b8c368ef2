// Runs in a worker of a page: see browser.test.ts.
import { crc32 } from '../../src/exchange/container.ts'
import { readCsv, readXgboost, saveModel, train } from '../../src/index.ts'
import { workerInput, workerOptions } from './browserInput.ts'

const here = globalThis as unknown as {
  onmessage: (event: { data: string }) => void
  postMessage(answer: object): void
  crossOriginIsolated: boolean
}

here.onmessage = ({ data }) => void answer(data)

async function answer(data: string): Promise<void> {
  const { model, history } = await train(workerInput(), workerOptions)
  here.postMessage({
    crc: crc32(saveModel(model)),
    validation: history.at(-1)?.validation,
    csvColumns: readCsv('age,town\n1,"a,b"\n2,c\n').columns.map(({ name, kind }) => `${name} ${kind}`),
    xgboostTrees: readXgboost(data).trees.length,
    isShared: here.crossOriginIsolated,
  })
}
