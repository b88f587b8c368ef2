// WGSL: the buffers of a product, and its operands element by element. Outside the matrices elements are zero.
import { paramsStruct } from '../params.ts'
import { isInteger, type Storage } from './variant.ts'

/** Slots of the bind group, the same for every kernel. */
export const bindings = ['params', 'a', 'b', 'out', 'bias', 'checksum', 'columnsOfA', 'folds', 'marks'] as const

export function declareBuffers(storage: Storage): string {
  const stored = isInteger({ storage }) ? 'u32' : storage === 'float16' ? 'f16' : 'f32'
  return `
${storage === 'float16' ? 'enable f16;' : ''}
${paramsStruct}
alias E = ${isInteger({ storage }) ? 'i32' : 'f32'};
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<${stored}>;
@group(0) @binding(2) var<storage, read> b: array<${stored}>;
// C, and after it the sums.
@group(0) @binding(3) var<storage, read_write> out: array<E>;
@group(0) @binding(4) var<storage, read> bias: array<E>;
// Row sums of B, column sums of A, and sums of B over the columns of each register tile.
@group(0) @binding(5) var<storage, read> checksum: array<Sum>;
@group(0) @binding(6) var<storage, read> columnsOfA: array<Sum>;
@group(0) @binding(7) var<storage, read> folds: array<E>;
// Class of each row for the next checksum; events of the fault list.
@group(0) @binding(8) var<storage, read> marks: array<u32>;
`
}

/** Element `at` of an array of bytes, or of floats. */
function readElement(array: 'a' | 'b', storage: Storage): string {
  if (!isInteger({ storage })) return `E(${array}[at])`
  const unsigned = array === 'a' && storage === 'uint8'
  const word = `${array}[at >> 2u]`
  return unsigned
    ? `i32(extractBits(${word}, (at & 3u) * 8u, 8u))`
    : `extractBits(bitcast<i32>(${word}), (at & 3u) * 8u, 8u)`
}

export function readOperands(storage: Storage, gather: boolean): string {
  return `
fn readA(at: u32) -> E { return ${readElement('a', storage)}; }
fn readB(at: u32) -> E { return ${readElement('b', storage)}; }

fn elementA(item: u32, row: u32, step: u32) -> E {
  if (row >= p.m || step >= p.k) { return E(0); }
${gather ? gatherPixel : '  return readA(item * p.aItem + row * p.aRow + step * p.aStep);'}
}

fn elementB(item: u32, step: u32, column: u32) -> E {
  if (step >= p.k || column >= p.n) { return E(0); }
  return readB(item * p.bItem + step * p.bStep + column * p.bColumn);
}
`
}

/** Row = (image, y, x) of the output, step = (tap row, tap column, channel): the pixel that the filter sees there. */
const gatherPixel = `
  let tap = step / p.groupChannels;
  let channel = step % p.groupChannels;
  let line = row / p.outWidth;
  let image = line / p.outHeight;
  // Positions left of or above the image wrap to large numbers, which are outside too.
  let y = (line % p.outHeight) * p.strideY + (tap / p.kernelWidth) * p.dilationY - p.padTop;
  let x = (row % p.outWidth) * p.strideX + (tap % p.kernelWidth) * p.dilationX - p.padLeft;
  if (y >= p.height || x >= p.width) { return E(0); }
  return readA(image * p.xImage + y * p.xLine + x * p.xPixel + item * p.aItem + channel * p.xChannel);`
