// What a campaign is asked and what it found: plain data that can be saved, resumed and merged.
import type { Activation, LinearLayer, LongRunning, MatmulEngine, Pair, ProtectionScheme, TBLR, Tensor } from '@ft/core'
import type { Calibration } from '../calibrate.ts'
import type { ChecksumWeights } from '../randomWeights/checksums.ts'
import type { FaultSource } from './sources.ts'

/** A layer of a model under test: original weights and what follows the product. */
export interface CampaignLayer {
  readonly id: string
  /** `[k, n]`, or a filter `[h, w, i, o]`. */
  readonly weights: Tensor
  readonly bias?: Tensor
  readonly activation?: Activation
  readonly groups?: number
  readonly stride?: Pair
  readonly pad?: TBLR
  readonly dilation?: Pair
}

/** A sequence of layers and an input; its answer is the largest element of each row of the output. */
export interface CampaignModel {
  readonly name: string
  readonly layers: readonly CampaignLayer[]
  readonly input: Tensor
}

export interface CampaignOptions extends LongRunning {
  /** Made with `instrumented: true`: faults strike inside the kernel that is measured. */
  readonly engine: MatmulEngine
  /** A whole network, or shapes: layers each on its own, with random operands. */
  readonly model?: CampaignModel
  readonly shapes?: readonly LinearLayer[]
  /** Default 'row'. */
  readonly scheme?: ProtectionScheme
  /** What checksums weigh their terms with. Default 'ones'; 'random' for the schemes that take them, of the campaign's seed. */
  readonly checksumWeights?: ChecksumWeights
  readonly calibration?: Calibration
  /** Default `allSources()`: single flips at every site. */
  readonly faults?: readonly FaultSource[]
  readonly trials: number
  readonly seed: number
  /** Of the intervals. Default 0.95. */
  readonly confidence?: number
  /** A part of the trials: those whose number leaves `index` when divided by `count`. */
  readonly shard?: { readonly index: number; readonly count: number }
  /** A result of the same campaign that ended early. */
  readonly resume?: CampaignResult
}

/**
 * What a fault did to the answer. 'masked': no bit changed; 'benign': the largest element of every row stayed where it was;
 * 'critical': it moved; 'unusable': NaN or infinity where there was none.
 */
export type FaultClass = 'masked' | 'benign' | 'critical' | 'unusable'

export const faultClasses: readonly FaultClass[] = ['masked', 'benign', 'critical', 'unusable']

/** Counts of faults of one kind. */
export interface CampaignCell {
  readonly layer: string
  readonly site: string
  readonly model: string
  /** The struck bit, where the fault has one. */
  readonly bit: number | null
  readonly trials: number
  readonly count: Readonly<Record<FaultClass, number>>
  /** Of those, how many raised an alarm. Of masked ones: safe false alarms. */
  readonly detected: Readonly<Record<FaultClass, number>>
  /** Detected ones whose output a second run put right, bit for bit. */
  readonly corrected: number
}

export interface CampaignResult {
  readonly schema: 'ft.campaign'
  readonly version: 1
  readonly build: string
  readonly scheme: ProtectionScheme
  /** Left out for 'ones'. */
  readonly checksumWeights?: ChecksumWeights
  readonly seed: number
  readonly trials: number
  /** Kind of threshold of the clean runs. */
  readonly threshold: string
  /** Hash of the layers, their data, the faults and the calibration: results of other campaigns do not mix. */
  readonly fingerprint: string
  readonly shards: readonly { readonly index: number; readonly count: number; readonly done: number }[]
  readonly cells: readonly CampaignCell[]
}
