// The multiple-choice knapsack: one item of each class, costs within a budget, the least sum of values.

export interface Item {
  readonly cost: number
  readonly value: number
}

export interface Frontier {
  /** Index of the item picked in each class. */
  readonly picks: readonly number[]
  readonly cost: number
  readonly value: number
  /** Non-dominated sums, by cost ascending and value descending, for budgets up to the cost of the best. */
  readonly front: readonly Item[]
}

/** Steps of the budget; costs are rounded up to them, so that no plan exceeds it. */
const STEPS = 2000
/** Below it, cost / step may overflow: such a budget buys nothing. */
const SMALLEST_STEP = 1e-300

/**
 * Picks one item of each class. Each class needs an item of cost 0.
 *
 * Method: dynamic programming over steps of cost, which gives the best value for every budget up to the largest at once; the
 * given budget has a grid of its own. Among picks of equal value the cheapest is kept.
 *
 * Guarantees: the cost is within the budget, and the value is at most that of the best picks for the budget less one step a
 * class.
 */
export function frontier(classes: readonly (readonly Item[])[], { budget }: { budget: number }): Frontier {
  const best = classes.map((items) =>
    items.reduce((a, b) => (b.value < a.value || (b.value === a.value && b.cost < a.cost) ? b : a)),
  )
  const whole: Picked = {
    picks: best.map((item, i) => (classes[i] as readonly Item[]).indexOf(item)),
    cost: best.reduce((sum, item) => sum + item.cost, 0),
    value: best.reduce((sum, item) => sum + item.value, 0),
  }
  const curve = solve(classes, whole.cost)
  const front = curve.pick(Array.from({ length: 201 }, (_, i) => Math.round((i * curve.steps) / 200)))
  const chosen = whole.cost <= budget ? whole : solve(classes, budget).pickAll()
  return { ...chosen, front: nonDominated([...front, whole, chosen]) }
}

interface Picked extends Item {
  readonly picks: readonly number[]
}

function solve(
  classes: readonly (readonly Item[])[],
  budget: number,
): { steps: number; pick(ends: readonly number[]): Picked[]; pickAll(): Picked } {
  const step = budget / STEPS
  const steps = step > SMALLEST_STEP ? STEPS : 0
  // A cost that is a whole number of steps but for rounding must not take one more: 1e-9 of a step
  const stepsOf = (cost: number) => (steps > 0 ? Math.max(0, Math.ceil(cost / step - 1e-9)) : cost > 0 ? 1 : 0)
  let values = new Float64Array(steps + 1)
  const tables = classes.map((items) => {
    const next = new Float64Array(steps + 1).fill(Infinity)
    const picked = new Uint8Array(steps + 1)
    items.forEach(({ cost, value }, index) => {
      for (let at = stepsOf(cost), from = 0; at <= steps; at++, from++) {
        const sum = (values[from] as number) + value
        if (sum < (next[at] as number)) {
          next[at] = sum
          picked[at] = index
        }
      }
    })
    values = next
    return picked
  })
  const pick = (end: number): Picked => {
    const picks = new Array<number>(classes.length)
    let at = end
    let [cost, value] = [0, 0]
    for (let i = classes.length - 1; i >= 0; i--) {
      const index = tables[i]?.[at] as number
      const item = classes[i]?.[index] as Item
      picks[i] = index
      cost += item.cost
      value += item.value
      at -= stepsOf(item.cost)
    }
    return { picks, cost, value }
  }
  return { steps, pick: (ends) => ends.map(pick), pickAll: () => pick(steps) }
}

function nonDominated(points: readonly Item[]): Item[] {
  const sorted = points.map(({ cost, value }) => ({ cost, value })).sort((a, b) => a.cost - b.cost || a.value - b.value)
  let least = Infinity
  return sorted.filter(({ value }) => {
    if (value >= least) return false
    least = value
    return true
  })
}
