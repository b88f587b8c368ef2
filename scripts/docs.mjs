// The reference site in docs/api: every package with all its subpaths, as its exports map names them.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Application, ReflectionKind } from 'typedoc'

const shared = { excludeInternal: true, excludePrivate: true, logLevel: 'Error' }

/** One package as a JSON model of its declarations. */
async function describe(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const sources = Object.entries(manifest.exports).filter(([, target]) => target['ft-source'] !== undefined)
  const entryPoints = sources.map(([, target]) => join(folder, target['ft-source']))
  const app = await Application.bootstrap({
    ...shared,
    name: manifest.name,
    entryPoints,
    tsconfig: join(folder, 'tsconfig.json'),
    readme: join(folder, 'README.md'),
    basePath: folder,
  })
  const project = await app.convert()
  if (project === undefined) throw new Error(`${manifest.name}: typedoc could not read it`)
  // Modules are called by what one imports, not by their source files.
  for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
    const source = `./${module.name.replace(/^src$/, 'src/index')}.ts`
    const found = sources.find(([, target]) => target['ft-source'] === source)
    if (found === undefined) throw new Error(`${manifest.name}: no subpath for module ${module.name}`)
    module.name = manifest.name + found[0].slice(1)
  }
  const file = join(folder, '.vitest', 'api.json')
  await app.generateJson(project, file)
  return file
}

const files = []
for (const name of readdirSync('packages')) {
  const folder = join('packages', name)
  if (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).private) continue
  files.push(await describe(folder))
  console.log(folder)
}
const app = await Application.bootstrap({
  ...shared,
  name: '@ft',
  entryPoints: files,
  entryPointStrategy: 'merge',
  readme: 'README.md',
})
const project = await app.convert()
if (project === undefined) throw new Error('typedoc could not merge the packages')
await app.generateDocs(project, 'docs/api')
console.log('docs/api/index.html')
