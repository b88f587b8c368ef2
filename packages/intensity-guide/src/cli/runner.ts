// Loads the runner that measures layers, by name at run time: the guide itself depends on no package that runs them.
import { createRequire } from 'node:module'
import { isAbsolute, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { FtError, type LayerRunner } from '@ft/core'

export type OpenedRunner = LayerRunner & { dispose?(): Promise<void> }

/**
 * A module whose default export is a runner, or a function that makes one.
 *
 * @param name - a package's subpath, looked for from the working folder, or a file's path
 */
export async function loadRunnerModule(name: string, options: { seed: number }): Promise<OpenedRunner> {
  const module = await load(name)
  const exported = unwrapped(module)
  const made: unknown = typeof exported === 'function' ? await (exported as (o: object) => unknown)(options) : exported
  if (isRunner(made)) return made
  throw new FtError(
    'INVALID_ARGUMENT',
    `intensity-guide: the default export of --runner ${name} must be a LayerRunner or a function that makes one`,
    { runner: name },
  )
}

async function load(name: string): Promise<unknown> {
  try {
    return await import(address(name))
  } catch (cause) {
    const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED']
    if (!missing.includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause
    const isFile = /^\.{0,2}\//.test(name)
    const scoped = name.startsWith('@') ? 2 : 1
    const message = isFile
      ? `intensity-guide: there is no runner module ${name}`
      : `intensity-guide: measuring needs ${name}; install it with npm install ${name.split('/').slice(0, scoped).join('/')}, ` +
        'or name a module of your own with --runner'
    throw new FtError('MISSING_PEER', message, { runner: name }, { cause })
  }
}

function address(name: string): string {
  if (/^\.{0,2}\//.test(name)) return pathToFileURL(resolve(name)).href
  try {
    const found = createRequire(resolve(process.cwd(), 'package.json')).resolve(name)
    return isAbsolute(found) ? pathToFileURL(found).href : found
  } catch {
    return name
  }
}

/** Default exports, through the wrapping that a CommonJS build gets when it is imported. */
function unwrapped(module: unknown): unknown {
  const outer = (module as { default?: unknown }).default
  const inner = (outer as { default?: unknown } | undefined)?.default
  return inner ?? outer
}

function isRunner(value: unknown): value is OpenedRunner {
  const runner = value as Partial<LayerRunner> | undefined
  return (
    typeof runner?.prepare === 'function' && typeof runner.schemes === 'function' && typeof runner.build === 'string'
  )
}
