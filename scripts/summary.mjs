// Adds up the test results that every package left in .vitest/results.json and the packed suite in .vitest/packed.json.
// A suite that failed on import counts as failed; a package with tests but without results counts as failed.
// What failed is named again at the end, one line each, as the log above it is long.
//   node scripts/summary.mjs [--clear]
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'

const folders = ['packages', 'apps'].flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))

if (process.argv.includes('--clear')) {
  for (const folder of folders) rmSync(`${folder}/.vitest/results.json`, { force: true })
  rmSync('.vitest', { recursive: true, force: true })
  process.exit(0)
}

let passed = 0
let failed = 0
let skipped = 0
const named = []
const firstLine = (message) => (message ?? '').trim().split('\n')[0].slice(0, 200)
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
  for (const suite of broken) named.push(`${relative('.', suite.name)}: outside its tests: ${firstLine(suite.message)}`)
  for (const suite of results.testResults)
    for (const test of suite.assertionResults)
      if (test.status === 'failed')
        named.push(`${relative('.', suite.name)} > ${test.fullName}: ${firstLine(test.failureMessages[0])}`)
}
if (existsSync('.vitest/packed.json')) {
  const packed = JSON.parse(readFileSync('.vitest/packed.json', 'utf8'))
  passed += packed.passed
  failed += packed.failed
}
const shown = 20
for (const name of named.slice(0, shown)) console.log(`FAILED ${name}`)
if (named.length > shown) console.log(`and ${named.length - shown} more`)
const line = `${passed} passed, ${failed} failed, ${skipped} skipped`
console.log(line)
mkdirSync('.vitest', { recursive: true })
writeFileSync('.vitest/summary.txt', line + '\n')
process.exit(failed || !passed ? 1 : 0)
