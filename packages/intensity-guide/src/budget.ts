// Budget mode: the least residual risk that a given extra time buys, and the whole trade-off. A layer may stay unprotected.
import { assertNumber, type LinearLayer, type ProtectionPlan } from '@ft/core'
import { analyseLayer } from './analyse.ts'
import { candidatesOf, plannedLayer, unprotected, type Candidate } from './candidates.ts'
import type { ChooseOptions } from './choosePerLayer.ts'
import { predict } from './cost.ts'
import { frontier, type Item } from './knapsack.ts'
import { checkChooseOptions } from './knownOptions.ts'
import { checkNetwork, planDocument } from './plan.ts'
import { residualOf } from './residual.ts'
import type { Network } from './zoo/index.ts'

export interface BudgetOptions extends ChooseOptions {
  /** Largest extra time, as a share of the unprotected network's. */
  readonly budget: number
  /** Smallest change of an output that matters, as a share of the outputs' root mean square. Default 0.01. */
  readonly critical?: number
  /** Measured unprotected times of layers by id, in any one unit; default predicted ones. */
  readonly times?: ReadonlyMap<string, number>
}

export interface TradeOff {
  /** Extra time as a share of the unprotected network's. */
  readonly overhead: number
  /** Undetected critical faults a fault that strikes the network's products. */
  readonly risk: number
}

export interface BudgetPlan extends TradeOff {
  readonly plan: ProtectionPlan
  /** Risk without any protection. */
  readonly unprotectedRisk: number
  /** Least risk for every extra time, from none to what no longer helps. */
  readonly front: readonly TradeOff[]
  /** The target's schemes, each everywhere it can be: for comparison with the front. */
  readonly uniform: Readonly<Record<string, TradeOff>>
}

/**
 * Plans a network so that at most `budget` extra time leaves as few undetected critical faults as it can.
 *
 * Risk of a layer: its share of the network's FLOPs (a fault strikes arithmetic) times the share of faults there that are
 * critical and unseen (`residualOf`). The choice is a multiple-choice knapsack, solved by dynamic programming over steps of
 * time: never above the budget, and at least as good as the best plan for the budget less one step a layer.
 *
 * Cost: layers x schemes x 2,000 steps.
 *
 * @throws FtError `INVALID_ARGUMENT` for a budget that is negative or not finite
 */
export function planWithinBudget(network: Network & { fingerprint?: string }, options: BudgetOptions): BudgetPlan {
  checkChooseOptions(options, { where: 'planWithinBudget', more: ['budget', 'critical', 'times'] })
  const { budget, device, dtype = device.dtype, critical = 0.01, sensitivity = Infinity } = options
  assertNumber(budget, { where: 'planWithinBudget', argument: 'budget', min: 0 })
  assertNumber(critical, { where: 'planWithinBudget', argument: 'critical', min: 0 })
  checkNetwork(network)
  const { layers } = network
  const residual = residualOf(dtype)
  const shares = workShares(layers)
  const times = timeShares(layers, options)

  const choices = layers.map((layer, index) => {
    const candidates = candidatesOf(layer, { ...options, last: index === layers.length - 1 })
    const item = (candidate: Candidate): Item & { candidate: Candidate } => ({
      candidate,
      cost: Math.max(0, candidate.overhead) * (times[index] as number),
      value: residual(layer, { detectable: candidate.detectable, critical }) * (shares[index] as number),
    })
    const allowed = candidates.schemes.filter(({ detectable }) => detectable <= sensitivity)
    return { candidates, items: [unprotected, ...allowed].map(item) }
  })

  const items = choices.map((choice) => choice.items)
  const best = frontier(items, { budget })
  const chosen = choices.map(({ candidates, items: of }, i) => ({ candidates, item: of[best.picks[i] as number] }))
  return {
    plan: planDocument(
      network,
      options,
      chosen.map(({ candidates, item }) => plannedLayer(candidates, item?.candidate ?? unprotected)),
    ),
    overhead: best.cost,
    risk: best.value,
    unprotectedRisk: items.reduce((sum, [none]) => sum + (none?.value ?? 0), 0),
    front: best.front.map(({ cost, value }) => ({ overhead: cost, risk: value })),
    uniform: uniformTradeOffs(items),
  }
}

/**
 * Overhead and risk of a plan that was made in any way, by the same model.
 *
 * @param options.times - measured unprotected times of layers by id; default predicted ones
 */
export function tradeOffOf(
  plan: ProtectionPlan,
  options: Pick<BudgetOptions, 'device' | 'dtype' | 'critical' | 'times'>,
): TradeOff {
  const { device, dtype = device.dtype, critical = 0.01 } = options
  const layers = plan.layers.map(({ layer }) => layer)
  const residual = residualOf(dtype)
  const shares = workShares(layers)
  const times = timeShares(layers, options)
  let [overhead, risk] = [0, 0]
  plan.layers.forEach(({ layer, measured, predictedOverhead, smallestDetectable }, i) => {
    overhead += Math.max(0, measured?.value ?? predictedOverhead) * (times[i] as number)
    risk += residual(layer, { detectable: smallestDetectable, critical }) * (shares[i] as number)
  })
  return { overhead, risk }
}

function uniformTradeOffs(items: readonly (readonly (Item & { candidate: Candidate })[])[]): Record<string, TradeOff> {
  const schemes = new Set(items.flatMap((of) => of.map(({ candidate }) => candidate.scheme)))
  const at = (scheme: string): TradeOff => {
    const picked = items.map((of) => of.find(({ candidate }) => candidate.scheme === scheme) ?? of[0])
    const sum = (value: (item: Item) => number) => picked.reduce((all, item) => all + (item ? value(item) : 0), 0)
    return { overhead: sum((item) => item.cost), risk: sum((item) => item.value) }
  }
  return Object.fromEntries([...schemes].filter((scheme) => scheme !== 'none').map((scheme) => [scheme, at(scheme)]))
}

function workShares(layers: readonly LinearLayer[]): number[] {
  return shared(layers.map((layer) => analyseLayer(layer).traffic.flops))
}

function timeShares(
  layers: readonly LinearLayer[],
  { device, dtype = device.dtype, times }: Pick<BudgetOptions, 'device' | 'dtype' | 'times'>,
): number[] {
  return shared(layers.map((layer) => times?.get(layer.id) ?? predict(layer, 'none', { device, dtype }).base))
}

function shared(values: readonly number[]): number[] {
  const total = values.reduce((sum, value) => sum + value, 0)
  return values.map((value) => value / total)
}
