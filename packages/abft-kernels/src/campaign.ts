// Subpath /campaign: fault injection into the measured kernels, counted with intervals; soak.
export { runCampaign } from './campaign/runCampaign.ts'
export { allSources, sourceOf, type DrawnFault, type FaultSource } from './campaign/sources.ts'
export { detectionByBit, summarise, type SummaryRow } from './campaign/summary.ts'
export { mergeCampaigns, parseCampaign } from './campaign/tally.ts'
export type {
  CampaignCell,
  CampaignLayer,
  CampaignModel,
  CampaignOptions,
  CampaignResult,
  FaultClass,
} from './campaign/types.ts'
export { soak, type SoakOptions, type SoakResult } from './campaign/soak.ts'
