// A runner for the command's tests: times of a busy loop that grow with the product, and a line a prepared arm on stderr.
import process from 'node:process'

const shares = { none: 1, global: 1.2, row: 1.5, 'thread-one-sided': 1.8, replication: 2 }

export default function make({ seed }) {
  return Promise.resolve({
    device: 'a busy loop',
    build: `loop, seed ${seed}`,
    schemes: () => Object.keys(shares),
    smallestDetectable: (_, scheme) => (scheme === 'none' ? Infinity : 1e-5),
    prepare({ id, m, n, k }, scheme) {
      process.stderr.write(`prepare ${id} ${scheme}\n`)
      const steps = Math.min(20_000, 200 + m * n * k) * shares[scheme]
      let x = 0
      return Promise.resolve({
        run() {
          for (let i = 0; i < steps; i++) x += Math.sqrt(i)
          return Promise.resolve(x)
        },
        release() {},
      })
    },
    dispose: () => Promise.resolve(void process.stderr.write('disposed\n')),
  })
}
