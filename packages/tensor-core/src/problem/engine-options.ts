// Options of an engine, checked.
import { invalidArgument } from '@ft/core'

/** @throws FtError `INVALID_ARGUMENT` for anything but true, false and undefined */
export function assertSwitch(value: unknown, argument: string, where: string): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidArgument({ where, argument: `options.${argument}` }, 'true or false', value)
}
