// Options of an engine: a misspelt one would be a default that nobody asked for, and so is an error.
import { FtError, invalidArgument } from '@ft/core'

/** @throws FtError `INVALID_ARGUMENT` for a name that the engine does not know, and for anything but an object */
export function assertOptionNames(options: unknown, names: Readonly<Record<string, true>>, where: string): void {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument({ where, argument: 'options' }, 'an object', options)
  for (const name of Object.keys(options))
    if (!Object.hasOwn(names, name))
      throw new FtError(
        'INVALID_ARGUMENT',
        `${where}: there is no option \`${name}\`; options are ${Object.keys(names).join(', ')}`,
        { option: name },
      )
}

/** @throws FtError `INVALID_ARGUMENT` for anything but true, false and undefined */
export function assertSwitch(value: unknown, argument: string, where: string): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidArgument({ where, argument: `options.${argument}` }, 'true or false', value)
}
