// Adds up the test results that every package left in .vitest/results.json and the packed suite in .vitest/packed.json.
// A suite that failed on import counts as failed; a package with tests but without results counts as failed.
//   node scripts/summary.mjs [--clear]
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'

const folders = ['packages', 'apps'].flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))

if (process.argv.includes('--clear')) {
  for (const folder of folders) rmSync(`${folder}/.vitest/results.json`, { force: true })
  rmSync('.vitest', { recursive: true, force: true })
  process.exit(0)
}

let passed = 0
let failed = 0
let skipped = 0
for (const folder of folders) {
  if (!existsSync(`${folder}/package.json`)) continue
  const file = `${folder}/.vitest/results.json`
  if (!existsSync(file)) {
    console.log(`${folder}: no test results`)
    failed++
    continue
  }
  const results = JSON.parse(readFileSync(file, 'utf8'))
  // A suite that throws while it is imported has no tests of its own: count the suite.
  const broken = results.testResults.filter(
    (suite) => suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed'),
  )
  passed += results.numPassedTests
  failed += results.numFailedTests + broken.length
  skipped += results.numPendingTests + results.numTodoTests
  for (const suite of broken) console.log(`${suite.name}: failed outside its tests`)
}
if (existsSync('.vitest/packed.json')) {
  const packed = JSON.parse(readFileSync('.vitest/packed.json', 'utf8'))
  passed += packed.passed
  failed += packed.failed
}
const line = `${passed} passed, ${failed} failed, ${skipped} skipped`
console.log(line)
mkdirSync('.vitest', { recursive: true })
writeFileSync('.vitest/summary.txt', line + '\n')
process.exit(failed || !passed ? 1 : 0)
