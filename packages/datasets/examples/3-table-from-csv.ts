// A table of your own: numbers, categories with one coding for both files, unknown cells as NaN.
//
// Prints:
//   levels AA DL UA WN
//   train  2475 0 187 3 NaN 2 target 1 0 0
//   test   733 1 target 1
import { readTables } from '@ft/datasets'

const train = new TextEncoder().encode('late,miles,carrier\n1,2475,AA\n0,187,WN\n0,,UA\n')
const test = new TextEncoder().encode('late,miles,carrier\n1,733,DL\n')
const [a, b] = await readTables([train, test], {
  header: true,
  missing: '',
  columns: [
    { name: 'late', kind: 'target', toNumber: Number },
    { name: 'miles', kind: 'numeric' },
    { name: 'carrier', kind: 'categorical' },
  ],
})
console.log('levels', a!.levels[1]!.join(' '))
console.log('train ', a!.features.join(' '), 'target', a!.target.join(' '))
console.log('test  ', b!.features.join(' '), 'target', b!.target.join(' '))
