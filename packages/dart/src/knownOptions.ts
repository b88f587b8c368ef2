// Names that options may have. A misspelt one would be a default that nobody asked for: it is an error.
import { assertOptionNames } from '@ft/core'
import type { DropoutOptions, GossOptions, TrainOptions } from './options.ts'

const trainNames: Readonly<Record<keyof TrainOptions, true>> = {
  objective: true,
  rounds: true,
  learningRate: true,
  dropout: true,
  growth: true,
  maxDepth: true,
  maxLeaves: true,
  minRows: true,
  minHessian: true,
  minGain: true,
  l1: true,
  l2: true,
  maxBins: true,
  bundle: true,
  columnCopy: true,
  rowFraction: true,
  goss: true,
  columnFraction: true,
  nodeColumnFraction: true,
  monotone: true,
  interactions: true,
  categorySmooth: true,
  categoryL2: true,
  mostCategories: true,
  continueFrom: true,
  resume: true,
  checkpointEvery: true,
  onCheckpoint: true,
  classes: true,
  alpha: true,
  delta: true,
  truncation: true,
  sigma: true,
  normalizeLambdas: true,
  emptyQuery: true,
  baseScore: true,
  metric: true,
  trackTraining: true,
  earlyStopping: true,
  seed: true,
  threads: true,
  leafCacheBytes: true,
  onRound: true,
  onProgress: true,
  signal: true,
}

const dropoutNames: Readonly<Record<keyof DropoutOptions, true>> = {
  dropRate: true,
  plusOne: true,
  skipDrop: true,
  maxDrop: true,
  sample: true,
  normalize: true,
  dropUnit: true,
  dropSeed: true,
}

/** @throws FtError `INVALID_ARGUMENT` naming an option that `train` does not have, and those that it has */
export function checkTrainNames(options: TrainOptions): void {
  assertOptionNames(options, trainNames, 'train')
}

/** The same of `dropout`. A preset spread into options brings its learning rate, which belongs beside them. */
export function checkDropoutNames({ learningRate: _, ...options }: DropoutOptions & { learningRate?: number }): void {
  assertOptionNames(options, dropoutNames, 'train: dropout')
}

const gossNames: Readonly<Record<keyof GossOptions, true>> = { topRate: true, otherRate: true }

/** The same of `goss`. */
export function checkGossNames(options: GossOptions): void {
  assertOptionNames(options, gossNames, 'train: goss')
}
