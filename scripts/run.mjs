// The project's commands on a machine that has Node and npm only: brings pnpm, installs what the command needs, runs it.
//   node scripts/run.mjs test | check | bench NAME | demo | build | generate | docs | release
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
process.chdir(root)
const [command = '', ...args] = process.argv.slice(2)

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) fail(`Node 20.19 or newer is needed, this is ${process.versions.node}`)

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
const pnpmVersion = manifest.packageManager.split('@')[1]
const env = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: '1',
  COREPACK_ENABLE_STRICT: '0',
  npm_config_update_notifier: 'false',
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

function run(program, list, options = {}) {
  const result = spawnSync(program, list, { stdio: 'inherit', env, ...options })
  if (result.error) fail(`${program}: ${result.error.message}`)
  return result.status ?? 1
}

const hasPnpm = spawnSync('pnpm', ['--version'], { encoding: 'utf8', env }).stdout?.trim() === pnpmVersion

/** pnpm at the project's version: the one on the path, or npm's copy of it. */
const pnpmWith = (list) =>
  hasPnpm ? ['pnpm', list] : ['npx', ['--yes', '--prefer-offline', `pnpm@${pnpmVersion}`, ...list]]

const pnpm = (...list) => run(...pnpmWith(list))

/** The same, while this program goes on: a promise of the exit status. */
function beginPnpm(...list) {
  const child = spawn(...pnpmWith(list), { stdio: 'inherit', env: { ...env } })
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`pnpm: ${error.message}`))
    child.on('exit', (status) => resolve(status ?? 1))
  })
}

function turbo(tasks, ...list) {
  return pnpm('exec', 'turbo', 'run', ...tasks, '--no-update-notifier', ...list)
}

/** Installs once for each lockfile and set of manifests; `filter` names what the demo needs. */
function install(filter) {
  const hash = createHash('sha256')
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...workspaceManifests()])
    hash.update(readFileSync(file))
  const key = hash.digest('hex')
  const stamp = 'node_modules/.ft-install.json'
  const done = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : {}
  if (done.key === key && (done.scope === 'all' || done.scope === (filter ?? 'all'))) return
  rmSync(stamp, { force: true })
  const scope = filter ? ['--filter', '@ft/root', '--filter', filter] : []
  const status = withEnv({ CI: 'true' }, () => pnpm('install', '--frozen-lockfile', '--prefer-offline', ...scope))
  if (status !== 0) process.exit(status)
  mkdirSync('node_modules', { recursive: true })
  writeFileSync(stamp, JSON.stringify({ key, scope: filter ?? 'all' }))
}

function workspaceManifests() {
  return ['packages', 'apps']
    .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}/package.json`))
    .filter((file) => existsSync(file))
}

function withEnv(more, body) {
  const saved = { ...env }
  Object.assign(env, more)
  try {
    return body()
  } finally {
    for (const key of Object.keys(more)) delete env[key]
    Object.assign(env, saved)
  }
}

/** Runs each step even when one before it failed; the worst exit status wins. */
function all(...steps) {
  let worst = 0
  for (const step of steps) worst = Math.max(worst, step())
  return worst
}

const script = (name, ...list) => run(process.execPath, [`scripts/${name}.mjs`, ...list])
const quiet = ['--output-logs=errors-only', '--log-order=grouped']

async function main() {
  switch (command) {
    case 'demo': {
      install('@ft/demo...')
      const built = withEnv({ FT_DTS: '0' }, () => turbo(['build'], '--filter=@ft/demo...', ...quiet))
      return built || run(process.execPath, ['apps/demo/bin/demo.mjs', ...args])
    }
    case 'test':
      install()
      script('summary', '--clear')
      return all(
        () => turbo(['test'], '--concurrency=1', '--continue', '--log-order=stream', ...args),
        () => (args.length ? 0 : pnpm('exec', 'node', 'scripts/packed.mjs')),
        () => script('summary'),
      )
    case 'bench': {
      install()
      const built = withEnv({ FT_DTS: '0' }, () => turbo(['build'], '--filter=@ft/benchmarks...', ...quiet))
      return built || run(process.execPath, ['apps/benchmarks/bin/bench.mjs', ...args])
    }
    case 'check': {
      install()
      const sound = all(
        () => script('exports', '--check'),
        () => turbo(['typecheck', 'build'], ...quiet),
      )
      // It takes as long as all that follow. With the types of all packages at hand that is 2.7 GB, more than Node gives a heap
      // on a machine of 4 GB.
      const linted = withEnv({ NODE_OPTIONS: '--max-old-space-size=4096' }, () =>
        beginPnpm('exec', 'eslint', '.', '--max-warnings=0'),
      )
      const others = all(
        () => pnpm('exec', 'prettier', '--check', '--log-level', 'warn', '.'),
        () =>
          pnpm('exec', 'depcruise', '--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'packages', 'apps'),
        () => pnpm('exec', 'knip', '--no-progress', '--no-config-hints'),
        () => pnpm('exec', 'node', 'scripts/publishable.mjs'),
      )
      return Math.max(sound, others, await linted)
    }
    case 'build':
    case 'generate':
      install()
      return turbo([command], ...args)
    case 'docs':
      install()
      return turbo(['generate'], ...quiet) || script('docs')
    case 'release':
      install()
      // What would be published, and as what; with --publish it is. `pnpm changeset version` comes first.
      return (
        turbo(['build'], ...quiet) ||
        pnpm('exec', 'node', 'scripts/publishable.mjs') ||
        (args.includes('--publish') ? pnpm('exec', 'changeset', 'publish') : pnpm('exec', 'changeset', 'status'))
      )
    default:
      fail('usage: npm run demo | test | check | bench -- NAME | build | docs | release')
  }
}

process.exit(await main())
