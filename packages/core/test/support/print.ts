// The entry of the script that same-bits.test.ts runs on another Node.
import { digests } from './digest.ts'

process.stdout.write(JSON.stringify(digests()))
