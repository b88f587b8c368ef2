// An instance falls silent after 100 queries, on a virtual clock: what each policy makes of it.
//
// Prints:
//   none          167 exact,   0 reconstructed,  33 unanswered by 200 ms
//   firstWins     167 exact,  33 reconstructed,   0 unanswered by 200 ms
//   hold(30 ms)   167 exact,  33 reconstructed,   0 unanswered by 200 ms
import { createCoordinator, firstWins, hold, sum, virtualClock, type Code, type Policy } from '@ft/parm'

async function serve(name: string, { code, policy }: { code?: Code; policy: Policy }): Promise<void> {
  const clock = virtualClock()
  const counts: Record<string, number> = {}
  let turn = 0
  const coordinator = createCoordinator({
    ...(code ? { code } : {}),
    policy,
    clock,
    deadlineMs: 200,
    count: (event) => (counts[event] = (counts[event] ?? 0) + 1),
    dispatch: ({ model, inputs }, { done }) => {
      // Three instances of the model in turn, the third one silent from query 100 on; parities have one of their own
      const silent = model === 'base' && turn++ % 3 === 2 && turn > 100
      if (!silent) clock.schedule(10, () => done(inputs))
    },
  })
  const answers = Array.from({ length: 200 }, async (_, i) => {
    await new Promise<void>((resolve) => clock.schedule(5 * i, resolve))
    return coordinator.submit({ inputs: [{ name: 'x', data: Float32Array.of(i), shape: [1, 1], dtype: 'float32' }] })
  })
  for (let ms = 0; ms <= 1300; ms += 1) {
    clock.advanceTo(ms)
    await Promise.resolve()
  }
  await Promise.all(answers)
  const number = (value = 0) => String(value).padStart(3)
  console.log(
    `${name.padEnd(13)} ${number(counts['exact'])} exact, ${number(counts['reconstructed'])} reconstructed, ${number(counts['default'])} unanswered by 200 ms`,
  )
}

await serve('none', { policy: firstWins() })
await serve('firstWins', { code: sum({ k: 2 }), policy: firstWins() })
await serve('hold(30 ms)', { code: sum({ k: 2 }), policy: hold({ afterMs: 30 }) })
