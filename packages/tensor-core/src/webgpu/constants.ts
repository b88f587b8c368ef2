// WebGPU's flags as numbers: npm `webgpu` defines no globals unless asked to, and this package asks for none.
/// <reference types="@webgpu/types" />

export const usage = {
  mapRead: 0x0001,
  copySource: 0x0004,
  copyTarget: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const

export const mapModeRead = 0x0001
export const stageCompute = 0x4

/** Largest number of workgroups along one axis that every adapter takes. */
export const maximumGroups = 65_535
