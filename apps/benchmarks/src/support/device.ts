// Which machine the figures are of.
import { cpus } from 'node:os'
import process from 'node:process'

export function deviceName(): string {
  const processors = cpus()
  return `${processors[0]?.model.trim() ?? process.arch} x${processors.length}, node ${process.version}`
}
