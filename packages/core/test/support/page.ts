// The entry of the page that same-bits.test.ts opens.
import { digests } from './digest.ts'

const output = document.createElement('pre')
output.textContent = JSON.stringify(digests())
document.body.append(output)
