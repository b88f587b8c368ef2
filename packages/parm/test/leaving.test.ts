// Clients that leave do not make an instance do more at once than it takes.
import { expect, it } from 'vitest'
import { createGateway, firstWins, startOipServer } from '../src/index.ts'

it('leaves the place of a cut unit taken while an instance that is deaf to its end may be at it', async () => {
  const counted = { now: 0, most: 0 }
  const tensor = (name: string) => ({ name, datatype: 'FP32' as const, shape: [-1, 2] })
  const server = await startOipServer({
    name: 'deaf',
    version: '1',
    ready: () => true,
    metadata: (name) => ({ name, platform: 'test', inputs: [tensor('x')], outputs: [tensor('y')] }),
    // As an instance that computes off its event loop: there for health requests, and at the unit to its end
    async infer(modelName, { request }) {
      counted.most = Math.max(counted.most, ++counted.now)
      await new Promise((resolve) => setTimeout(resolve, 200))
      counted.now--
      const [input] = request.inputs
      return {
        modelName,
        parameters: {},
        outputs: input ? [{ ...input, name: 'y' }] : [],
        ...(request.id && { id: request.id }),
      }
    },
  })
  const gateway = await createGateway({
    model: 'm',
    policy: firstWins(),
    deadlineMs: 10_000,
    instances: [{ url: server.url, concurrency: 1 }],
  })
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] })
  const ask = (signal?: AbortSignal) =>
    fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body, ...(signal && { signal }) })
  // Until then nothing is known of how long a unit takes
  expect((await ask()).status).toBe(200)
  for (let i = 0; i < 5; i++) await ask(AbortSignal.timeout(30)).catch(() => undefined)
  expect(counted.most).toBe(1)
  await gateway.close()
  server.destroy()
})
