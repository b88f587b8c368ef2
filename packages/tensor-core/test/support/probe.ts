// A small kernel module, compiled when the tests start: what another package would carry.
import type { KernelBuilds } from '../../src/runtime/kernels.ts'

// By name only: its declarations would give the arrays of the whole program an `at` that never says undefined.
const compiler: string = 'assemblyscript/asc'
const { default: asc } = (await import(compiler)) as {
  default: {
    main(
      flags: string[],
      files: {
        readFile(name: string): string | null
        writeFile(name: string, contents: Uint8Array | string): void
        listFiles(): string[]
      },
    ): Promise<{ error: Error | null; stderr: { toString(): string } }>
  }
}

const source = `
export function mark(at: usize, value: i32): void { atomic.add<i32>(at, value) }
export function store64(at: usize, value: f64): void { store<f64>(at, value) }
export function sum(at: usize, n: i32): f64 {
  let s: f64 = 0
  for (let i = 0; i < n; i++) s += f64(load<f32>(at + (i << 2)))
  return s
}
// Waits, within reason, until n tasks run at the same time, and says whether it saw them all.
export function meet(at: usize, n: i32, seen: usize): void {
  atomic.add<i32>(at, 1)
  for (let i = 0; i < 1000000000; i++) if (atomic.load<i32>(at) == n) { store<i32>(seen, 1); return }
}
export function fail(at: usize): void { unreachable() }
export function spin(at: usize, n: i32): void { for (let i = 0; i < n; i++) atomic.add<i32>(at, 1) }
`

const common = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd', '--enable', 'threads']
const shared = ['--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536']

async function compile(text: string, flags: string[]): Promise<string> {
  let binary: Uint8Array | undefined
  const { error, stderr } = await asc.main(['probe.ts', '--outFile', 'probe.wasm', ...common, ...flags], {
    readFile: (name) => (name === 'probe.ts' ? text : null),
    writeFile: (_name, contents) => {
      binary = contents as Uint8Array
    },
    listFiles: () => [],
  })
  if (error !== null || binary === undefined) throw new Error(`${error?.message}: ${stderr.toString()}`)
  return Buffer.from(binary).toString('base64')
}

/** The probe's builds; relaxed and strict are the same. `more` is appended to its source. */
export async function compileProbe(more = ''): Promise<KernelBuilds> {
  const [simd, simdShared] = [await compile(source + more, []), await compile(source + more, shared)]
  return { simd, relaxed: simd, 'simd-shared': simdShared, 'relaxed-shared': simdShared }
}
