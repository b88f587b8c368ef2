// Tab: bits flip inside a matrix product; checksums find, locate and correct.
import { useCallback, useEffect, useState } from 'react'
import { Chart } from '../ui/chart.tsx'
import { Actions, Choose, Code, Controls, Figures, percent, Seed, Slider, TabFrame } from '../ui/controls.tsx'
import { choice, number, useSettings } from '../ui/settings.ts'
import { useWorker } from '../ui/worker.ts'
import type { Engine, News, Order, Shown, Tally } from './messages.ts'
import { Picture } from './picture.tsx'

const specs = {
  engine: choice(['wasm', 'webgpu']),
  seed: number(1, [1, 999_999]),
  scheme: choice(['row-column', 'row', 'thread-one-sided', 'replication', 'none']),
  where: choice(['accumulator', 'output', 'packed-weight']),
  faults: number(12, [1, 60]),
  bit: number(29, [0, 31]),
  broken: number(0, [0, 1]),
}

const places = {
  accumulator: 'an accumulator, in mid-sum',
  output: 'a stored output',
  'packed-weight': 'a weight, as packed',
} as const

const start = () => new Worker(new URL('./bits.worker.ts', import.meta.url), { type: 'module' })

export default function Bits() {
  const [settings, change] = useSettings('bits', specs)
  const [note, setNote] = useState('starting')
  const [devices, setDevices] = useState<Partial<Record<Engine, string>>>({})
  const [shown, setShown] = useState<Shown>()
  const [tally, setTally] = useState<Tally>()
  const { send, failure } = useWorker<Order, News>(start, (news) => {
    if (news.kind === 'progress') setNote(news.note)
    else if (news.kind === 'engine') setDevices((known) => ({ ...known, [news.engine]: news.device }))
    else if (news.kind === 'shown') setShown(news)
    else setTally(news)
  })
  const { seed, scheme, where, faults, bit, broken } = settings
  // An address may name an engine that this browser lacks
  const engine = devices.webgpu === undefined ? 'wasm' : settings.engine
  useEffect(() => {
    send({ kind: 'show', engine, seed, scheme, where, bit, faults: broken ? faults : 0 })
  }, [send, engine, seed, scheme, where, faults, bit, broken])
  const measure = useCallback(() => {
    setTally(undefined)
    send({ kind: 'campaign', engine, seed, scheme, where, trials: 24 })
  }, [send, engine, seed, scheme, where])

  return (
    <TabFrame
      title="Bits that flip inside a matrix product"
      lead="This picture is a product of two matrices. Flip bits inside the kernel while it multiplies: sums carried beside the product tell that something is wrong, where, and what it should have been."
      where="All of it runs in your browser, in a worker, on WebAssembly or, where the browser has an adapter, on WebGPU: nothing is simulated but the flips themselves, which an instrumented build of the same kernel makes."
      failure={failure}
    >
      <Controls>
        {devices.webgpu === undefined ? null : (
          <Choose
            label="Engine"
            spec={specs.engine}
            value={engine}
            onChange={(value) => change({ engine: value })}
            names={{ wasm: 'WebAssembly', webgpu: `WebGPU: ${devices.webgpu}` }}
          />
        )}
        <Choose label="Protection" spec={specs.scheme} value={scheme} onChange={(value) => change({ scheme: value })} />
        <Choose
          label="Flips strike"
          spec={specs.where}
          value={where}
          onChange={(value) => change({ where: value })}
          names={places}
        />
        <Slider label="Flips" spec={specs.faults} value={faults} onChange={(value) => change({ faults: value })} />
        <Slider
          label="Bit"
          spec={specs.bit}
          value={bit}
          onChange={(value) => change({ bit: value })}
          show={nameOfBit}
        />
        <Seed value={seed} onChange={(value) => change({ seed: value })} />
      </Controls>
      <Actions
        breakIt={broken ? 'Break it again' : 'Break it'}
        onBreak={() => change(broken ? { seed: (seed % 999_999) + 1 } : { broken: 1 })}
        disabled={!shown}
      >
        <button type="button" onClick={() => change({ broken: 0 })} disabled={!shown || broken === 0}>
          Make it whole
        </button>
        <button type="button" onClick={measure} disabled={!shown || scheme === 'none'}>
          Measure every bit
        </button>
      </Actions>
      {shown ? (
        <Pictures shown={shown} device={devices[shown.order.engine] ?? shown.order.engine} />
      ) : (
        <p className="where">{note}…</p>
      )}
      {tally ? <Found tally={tally} /> : null}
      <Code>{code(scheme, engine)}</Code>
    </TabFrame>
  )
}

const nameOfBit = (bit: number): string =>
  bit === 31 ? '31, the sign' : bit >= 23 ? `${bit}, exponent` : `${bit}, fraction`

function Pictures({ shown, device }: { readonly shown: Shown; readonly device: string }) {
  const { clean, hurt, guarded, found, changed, stillWrong, recomputed, checks, smallest, plainMs, guardedMs, order } =
    shown
  const flips = order.faults
  return (
    <>
      <div className="pair">
        <Picture
          name="Before"
          values={hurt}
          clean={clean}
          caption={flips === 0 ? 'Nothing is broken.' : `Unprotected: ${changed} values are wrong.`}
        />
        <Picture
          name="After"
          values={guarded}
          clean={clean}
          found={found}
          caption={`With “${order.scheme}”: ${stillWrong === 0 ? 'every bit is as it should be' : `${stillWrong} values are wrong`}${found.length > 0 ? '; lines mark rows and columns whose sums disagreed' : ''}.`}
        />
      </div>
      <div
        data-testid="bits-result"
        data-changed={changed}
        data-wrong={stillWrong}
        data-found={found.length}
        data-status={shown.status}
        data-engine={order.engine}
      >
        <Figures
          items={[
            ['Flips', String(flips)],
            ['Values changed', String(changed)],
            ['Still wrong', String(stillWrong)],
            ['Outcome', shown.status],
            ['Outputs computed again', String(recomputed), `of ${clean.length}`],
            [
              'Smallest error surely found',
              Number.isFinite(smallest) ? smallest.toPrecision(2) : '–',
              `${checks} checks`,
            ],
            [
              'Time of a product',
              `${plainMs.toFixed(2)} → ${guardedMs.toFixed(2)} ms`,
              'unprotected, protected; medians',
            ],
            ['Engine', device],
          ]}
        />
      </div>
    </>
  )
}

const lines = [{ name: 'found', tone: 'accent', bars: true }] as const
const bits = Array.from({ length: 32 }, (_, bit) => bit)
const range = { x: [-0.7, 31.7], y: [0, 1] } as const

function Found({ tally }: { readonly tally: Tally }) {
  const { done, total, changed, found, exact, falseAlarms } = tally
  const sum = (list: readonly number[]) => list.reduce((all, value) => all + value, 0)
  const shares = bits.map((bit) => (changed[bit] ? (found[bit] as number) / changed[bit] : null))
  return (
    <section aria-label="Every bit measured" data-testid="bits-tally" data-done={done} data-total={total}>
      <Chart
        title="Share of changed pictures that were found, by flipped bit"
        x="bit"
        y="share found"
        lines={lines}
        data={[bits, shares]}
        range={range}
        height={200}
      />
      <Figures
        items={[
          ['Single flips tried', `${done} of ${total}`],
          ['Changed the picture', String(sum(changed))],
          ['Found', percent(sum(found) / sum(changed)), 'flips in the lowest bits drown in rounding'],
          ['Found from bit 20 up', percent(sum(found.slice(20)) / sum(changed.slice(20)))],
          ['Right to the last bit after all', percent(sum(exact) / sum(changed))],
          ['False alarms', String(falseAlarms)],
        ]}
      />
    </section>
  )
}

const engines: Readonly<Record<Engine, string>> = {
  wasm: `import { createWasmEngine } from '@ft/tensor-core/wasm'

const engine = createWasmEngine({ threads: 1 })`,
  webgpu: `import { createWebgpuEngine } from '@ft/tensor-core/webgpu'

const engine = await createWebgpuEngine()`,
}

const code = (scheme: string, engine: Engine): string => `
import { createKernels } from '@ft/abft-kernels'
${engines[engine]}
const kernels = await createKernels({ engine }).calibrated()
const weights = await kernels.prepare(b)
const { output, report } = await kernels.matmul(a, weights, { scheme: '${scheme}' })
report.status     // 'clean' | 'corrected' | 'detected' | 'uncorrectable'
report.detections // rows and columns where sums disagreed
`
