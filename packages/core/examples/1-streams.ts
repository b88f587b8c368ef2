// Named streams: a draw added in one place changes nothing elsewhere.
//
// Prints:
//   split    2 0 3 4 1
//   noise    0.607 -0.965 -1.282
//   noise    0.607 -0.965 -1.282  (after 1000 draws from another stream)
import { createRandom } from '@ft/core/random'

const random = createRandom(2026)
console.log('split   ', random.stream('split').permutation(5).join(' '))

const noise = () => {
  const own = random.stream('noise')
  return Array.from({ length: 3 }, () => own.normal().toFixed(3).padStart(6)).join(' ')
}
console.log('noise  ', noise())
const other = random.stream('dropout')
for (let i = 0; i < 1000; i++) other.uniform()
console.log('noise  ', noise(), ' (after 1000 draws from another stream)')
