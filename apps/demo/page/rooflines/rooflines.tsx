// Tab: which protection costs least at each layer of a network, by the roofline of a device.
import { useMemo } from 'react'
import {
  analyseLayer,
  devices,
  findDevice,
  planNetwork,
  planTotals,
  ridge,
  zoo,
  type Device,
  type DeviceName,
  type ZooName,
} from '@ft/intensity-guide'
import { Actions, Choose, Code, Controls, Figures, percent, Slider, TabFrame } from '../ui/controls.tsx'
import { choice, number, useSettings } from '../ui/settings.ts'
import { Costs } from './costs.tsx'
import { Roofline } from './roofline.tsx'

const networks = [
  'resnet50',
  'vgg16',
  'squeezenet',
  'densenet161',
  'dlrm-bottom',
  'dlrm-top',
  'transformer',
  'coral',
] as const satisfies readonly ZooName[]
const gpus = ['t4', 'v100', 'a100-40', 'a100-80', 'h100', 'h200', 'b200', 'l4'] as const satisfies readonly DeviceName[]

const specs = {
  network: choice(networks),
  device: choice(gpus),
  batch: number(16, [1, 4096]),
  side: number(224, [64, 1080], 8),
  bandwidth: number(1, [0.25, 4], 0.05),
  peak: number(1, [0.25, 4], 0.05),
  uniform: choice(['guided', 'global', 'thread-one-sided', 'replication']),
}

const names = Object.fromEntries(gpus.map((name) => [name, devices[name].name.replace('NVIDIA ', '')])) as Record<
  (typeof gpus)[number],
  string
>
const picture = (network: string) => !network.startsWith('dlrm') && network !== 'transformer'

export default function Rooflines() {
  const [settings, change] = useSettings('plan', specs)
  const { network, batch, side, uniform } = settings
  const plan = useMemo(
    () => planOf(settings),
    [settings.network, settings.device, settings.batch, settings.side, settings.bandwidth, settings.peak],
  )
  const { guided, schemes, below, layers } = plan
  const worst = schemes.get(uniform) ?? guided
  const breakIt = () => change(uniform === 'guided' ? { uniform: worseOf(schemes) } : { uniform: 'guided' })
  return (
    <TabFrame
      title="Rooflines, and what a check costs under them"
      lead="Left of the ridge a layer waits for memory and its processors idle: a check in its own threads is nearly free. Right of it every operation counts, and one check over the whole product costs least. The guide decides layer by layer."
      where="Computed in your browser by the guide’s cost model, fitted to published measurements on a T4. None of these devices is measured here."
    >
      <Controls>
        <Choose
          label="Network"
          spec={specs.network}
          value={network}
          onChange={(value) => change({ network: value, batch: value.startsWith('dlrm') ? 256 : 16 })}
        />
        <Choose
          label="Device"
          spec={specs.device}
          value={settings.device}
          onChange={(value) => change({ device: value })}
          names={names}
        />
        <Slider label="Batch" spec={specs.batch} value={batch} onChange={(value) => change({ batch: value })} log />
        {picture(network) ? (
          <Slider
            label="Picture"
            spec={specs.side}
            value={side}
            onChange={(value) => change({ side: value })}
            show={(v) => `${v} × ${v}`}
          />
        ) : null}
        <Slider
          label="Memory bandwidth"
          spec={specs.bandwidth}
          value={settings.bandwidth}
          onChange={(value) => change({ bandwidth: value })}
          show={(v) => `× ${v.toFixed(2)}`}
        />
        <Slider
          label="Peak arithmetic"
          spec={specs.peak}
          value={settings.peak}
          onChange={(value) => change({ peak: value })}
          show={(v) => `× ${v.toFixed(2)}`}
        />
      </Controls>
      <Actions
        breakIt={uniform === 'guided' ? 'Break it: one scheme for all' : 'Let the guide choose'}
        onBreak={breakIt}
      />
      <Roofline
        {...plan.roof}
        dots={layers.map((layer) => ({
          ...layer,
          threadLevel: uniform === 'guided' ? layer.threadLevel : uniform === 'thread-one-sided',
        }))}
      />
      <div data-testid="plan-result" data-scheme={uniform} data-extra={worst} data-guided={guided} data-below={below}>
        <Figures
          items={[
            ['Layers below the ridge', `${below} of ${layers.length}`],
            ['Before: guided', percent(guided), 'extra time of the whole network'],
            ['Now', percent(worst), uniform === 'guided' ? 'guided' : `“${uniform}” at every layer`],
            ['Dearer than guided', uniform === 'guided' ? '–' : `${(worst / guided).toFixed(1)} ×`],
            ['Unprotected', `${(plan.base * 1e3).toPrecision(3)} ms`, 'a pass, predicted'],
          ]}
        />
      </div>
      <Costs guided={guided} schemes={schemes} chosen={uniform} />
      <Code>{code(settings)}</Code>
    </TabFrame>
  )
}

function planOf(o: {
  network: ZooName
  device: DeviceName
  batch: number
  side: number
  bandwidth: number
  peak: number
}) {
  const device = scaled(findDevice(o.device), o)
  const network = zoo(o.network, {
    batch: Math.round(o.batch),
    ...(picture(o.network) ? { resolution: [o.side, o.side] } : {}),
  })
  const plan = planNetwork(network, { device, target: 'webgpu', rule: 'cost' })
  const { base, guided, uniform } = planTotals(plan, { device })
  const peak = device.peak[device.dtype] ?? NaN
  const balance = ridge(device)
  const layers = plan.layers.map(({ id, layer, scheme }) => {
    const { intensity } = analyseLayer(layer, { dtype: device.dtype }).padded
    return {
      id,
      intensity,
      reach: Math.min(peak, intensity * device.bandwidth),
      threadLevel: scheme.startsWith('thread'),
    }
  })
  return {
    base,
    guided,
    schemes: new Map<string, number>(Object.entries(uniform)),
    below: layers.filter(({ intensity }) => intensity < balance).length,
    layers,
    roof: { device: device.name, ridge: balance, peak, bandwidth: device.bandwidth },
  }
}

function scaled(device: Device, { bandwidth, peak }: { bandwidth: number; peak: number }): Device {
  if (bandwidth === 1 && peak === 1) return device
  const peaks = Object.fromEntries(Object.entries(device.peak).map(([dtype, value]) => [dtype, value * peak]))
  return {
    ...device,
    name: `${device.name}, altered`,
    bandwidth: device.bandwidth * bandwidth,
    peak: peaks,
    adds: device.adds * peak,
  }
}

/** The dearer of the two uniform choices that the guide chooses between. */
function worseOf(schemes: ReadonlyMap<string, number>): 'global' | 'thread-one-sided' {
  return (schemes.get('global') ?? 0) >= (schemes.get('thread-one-sided') ?? 0) ? 'global' : 'thread-one-sided'
}

const code = (o: { network: string; device: string; batch: number; side: number }): string => `
import { findDevice, planNetwork, planTotals, zoo } from '@ft/intensity-guide'

const device = findDevice('${o.device}')
const network = zoo('${o.network}', { batch: ${Math.round(o.batch)}${picture(o.network) ? `, resolution: [${o.side}, ${o.side}]` : ''} })
const plan = planNetwork(network, { device, target: 'webgpu', rule: 'cost' })
const { guided, uniform } = planTotals(plan, { device }) // extra time, as a share
`
