// What a right answer is: a class, numbers, or a box. Every score is 1 at best, so that accuracies of all three can be mixed
// with those of a default answer.
import { FtError, type Tensor } from '@ft/core'

/** What is known about the samples; exactly one of the three. */
export type Answers =
  /** Classification: the class of each sample. The score is the share of right classes. */
  | { readonly labels: ArrayLike<number>; readonly values?: undefined; readonly boxes?: undefined }
  /** Regression: `[n, outputs]`. The score is the share of the variance explained (R squared). */
  | { readonly values: Tensor; readonly labels?: undefined; readonly boxes?: undefined }
  /** Localisation: `[n, 4]`, a corner's x and y, width and height. The score is the mean intersection over union. */
  | { readonly boxes: Tensor; readonly labels?: undefined; readonly values?: undefined }

export interface Scorer {
  /** Score of outputs for a sample; their mean is the accuracy. */
  score(outputs: ArrayLike<number>, sample: number): number
  /** How far outputs say what the deployed model's own say; 1 when they do. */
  agreement(outputs: ArrayLike<number>, own: ArrayLike<number>): number
  /** Score of the best constant answer: the commonest class, the mean values, the mean box. */
  readonly constant: number
}

/**
 * @param answers - of `samples` samples; further ones are not looked at
 * @throws FtError `SHAPE_MISMATCH` when there are too few, or values and boxes of another width than `outputs`
 */
export function createScorer(
  answers: Answers,
  { samples, outputs, where }: { readonly samples: number; readonly outputs: number; readonly where: string },
): Scorer {
  if (answers.labels !== undefined) {
    if (answers.labels.length < samples) throw misfit(where, `${samples} labels`, answers.labels.length)
    return classScorer(answers.labels, samples)
  }
  const table = answers.values ?? answers.boxes
  const width = answers.boxes ? 4 : outputs
  const fits = table.shape.length === 2 && (table.shape[0] as number) >= samples && table.shape[1] === width
  if (!fits || outputs !== width)
    throw misfit(where, `${answers.boxes ? '`boxes`' : '`values`'} [${samples}, ${outputs}]`, table.shape)
  return answers.boxes ? boxScorer(table, samples) : valueScorer(table, samples)
}

/** The answers of some samples. */
export function pickAnswers(answers: Answers, rows: Uint32Array): Answers {
  if (answers.labels !== undefined) {
    const { labels } = answers
    return { labels: Array.from(rows, (row) => labels[row] as number) }
  }
  const pick = ({ data, shape, dtype }: Tensor): Tensor => {
    const width = shape[1] as number
    const picked = new Float32Array(rows.length * width)
    rows.forEach((row, i) => picked.set(Array.from(data.subarray(row * width, (row + 1) * width), Number), i * width))
    return { data: picked, shape: [rows.length, width], dtype }
  }
  return answers.values ? { values: pick(answers.values) } : { boxes: pick(answers.boxes) }
}

function classScorer(labels: ArrayLike<number>, samples: number): Scorer {
  const counts = new Map<number, number>()
  for (let i = 0; i < samples; i++) counts.set(labels[i] as number, (counts.get(labels[i] as number) ?? 0) + 1)
  return {
    score: (outputs, sample) => Number(argMax(outputs) === labels[sample]),
    agreement: (outputs, own) => Number(argMax(outputs) === argMax(own)),
    constant: Math.max(...counts.values()) / samples,
  }
}

function valueScorer({ data, shape }: Tensor, samples: number): Scorer {
  const width = shape[1] as number
  const means = meansOf({ data, width, samples })
  let variance = 0
  for (let i = 0; i < samples * width; i++) variance += ((data[i] as number) - (means[i % width] as number)) ** 2
  // A constant target leaves nothing to explain: errors then count in its own units
  variance = variance / samples || width
  const explained = (outputs: ArrayLike<number>, wanted: (c: number) => number) => {
    let squares = 0
    for (let c = 0; c < width; c++) squares += ((outputs[c] as number) - wanted(c)) ** 2
    return 1 - squares / variance
  }
  return {
    score: (outputs, sample) => explained(outputs, (c) => data[sample * width + c] as number),
    agreement: (outputs, own) => explained(outputs, (c) => own[c] as number),
    constant: 0,
  }
}

function boxScorer({ data }: Tensor, samples: number): Scorer {
  const mean = meansOf({ data, width: 4, samples })
  const box = (i: number) => data.subarray(4 * i, 4 * i + 4) as ArrayLike<number>
  let constant = 0
  for (let i = 0; i < samples; i++) constant += overlap(mean, box(i)) / samples
  return { score: (outputs, sample) => overlap(outputs, box(sample)), agreement: overlap, constant }
}

/** Intersection over union of two boxes (x, y, width, height); a size below zero counts as zero. */
export function overlap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [ax = 0, ay = 0, aw = 0, ah = 0] = Array.from(a)
  const [bx = 0, by = 0, bw = 0, bh = 0] = Array.from(b)
  const side = (from: number, size: number, other: number, otherSize: number) =>
    Math.max(0, Math.min(from + Math.max(0, size), other + Math.max(0, otherSize)) - Math.max(from, other))
  const both = side(ax, aw, bx, bw) * side(ay, ah, by, bh)
  const either = Math.max(0, aw) * Math.max(0, ah) + Math.max(0, bw) * Math.max(0, bh) - both
  return either > 0 ? both / either : 0
}

export function argMax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}

function meansOf({ data, width, samples }: { data: ArrayLike<number>; width: number; samples: number }): number[] {
  const sums = Array<number>(width).fill(0)
  for (let i = 0; i < samples * width; i++) sums[i % width] = (sums[i % width] as number) + (data[i] as number)
  return sums.map((sum) => sum / samples)
}

function misfit(where: string, expected: string, got: unknown): FtError {
  return new FtError('SHAPE_MISMATCH', `${where}: answers must be ${expected}, got ${JSON.stringify(got)}`, { got })
}
