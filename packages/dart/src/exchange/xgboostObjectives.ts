// Names of losses in XGBoost, and what its base score means under each.
import { exp, log } from '@ft/core/math'
import { sigmoid } from '../objectives/classification.ts'

export interface XgboostObjective {
  /** Ours. */
  readonly objective: string
  readonly parameters: Readonly<Record<string, number>>
  /** From the file's base score to a raw one, and back. */
  readonly toRaw: (base: number) => number
  readonly fromRaw: (raw: number) => number
  /** What XGBoost makes of the file's base score: it calculates in float32. */
  readonly marginOf: (base: number) => number
}

const same = (value: number): number => value
const plain = (objective: string): XgboostObjective => ({
  objective,
  parameters: {},
  toRaw: same,
  fromRaw: same,
  marginOf: same,
})
const ofOdds = (objective: string): XgboostObjective => ({
  objective,
  parameters: {},
  toRaw: (p) => log(p / (1 - p)),
  fromRaw: sigmoid,
  // 1 / p - 1 loses what sets a p near 1 apart from it.
  marginOf: (p) => -log(Math.fround(Math.fround(1 / p) - 1)),
})
const ofRates = (objective: string): XgboostObjective => ({
  objective,
  parameters: {},
  toRaw: log,
  fromRaw: exp,
  marginOf: log,
})

const known: Readonly<Record<string, XgboostObjective>> = {
  'reg:squarederror': plain('squared'),
  'reg:linear': plain('squared'),
  'reg:squaredlogerror': plain('squared'),
  'reg:absoluteerror': plain('absolute'),
  'reg:pseudohubererror': plain('squared'),
  'binary:logistic': ofOdds('logistic'),
  'reg:logistic': ofOdds('logistic'),
  'count:poisson': ofRates('poisson'),
  'reg:gamma': ofRates('poisson'),
  'reg:tweedie': ofRates('poisson'),
  'multi:softprob': plain('softmax'),
  'multi:softmax': plain('softmax'),
  'rank:ndcg': plain('lambdarank'),
  'rank:pairwise': plain('lambdarank'),
  'rank:map': plain('lambdarank'),
}

export const xgboostObjectives: readonly string[] = Object.keys(known)

export function fromXgboost(name: string): XgboostObjective | undefined {
  return Object.hasOwn(known, name) ? known[name] : undefined
}

/** Whether a raw base score comes back from the file's float32 number to float32 rounding. */
export function keepsBase({ fromRaw, marginOf }: XgboostObjective, raw: number): boolean {
  return Math.abs(marginOf(Math.fround(fromRaw(raw))) - raw) <= 1e-6 + 1e-7 * Math.abs(raw)
}

/** The loss's entry of a file: name and the parameters that XGBoost's reader asks for. */
export function toXgboost(objective: string, classes: number): XgboostObjective & { readonly entry: object } {
  const regression = { reg_loss_param: { scale_pos_weight: '1' } }
  const entry = (name: string, more: object) => ({ ...(known[name] as XgboostObjective), entry: { name, ...more } })
  switch (objective) {
    case 'logistic':
      return entry('binary:logistic', regression)
    case 'softmax':
      return entry('multi:softprob', { softmax_multiclass_param: { num_class: String(classes) } })
    case 'poisson':
      return entry('count:poisson', { poisson_regression_param: { max_delta_step: '0.7' } })
    case 'lambdarank':
      return entry('rank:pairwise', { lambda_rank_param: { num_pairsample: '1', fix_list_weight: '0' } })
    default:
      // Losses that XGBoost lacks or names otherwise answer with the score itself, as this one does.
      return entry('reg:squarederror', regression)
  }
}
