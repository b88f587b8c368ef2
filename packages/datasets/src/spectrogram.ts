// The front end for speech at 8 kHz: a log spectrogram of fixed size, from windows of 20 ms every 10 ms.
import FFT from 'fft.js'
import type { FloatTensor } from './tensors.ts'
import type { Recording } from './spokenDigits.ts'

/** 20 ms at 8 kHz. */
const WINDOW = 160
/** 10 ms at 8 kHz. */
const HOP = 80
/** 0, 50, ..., 4000 Hz. */
export const BINS = WINDOW / 2 + 1
/** Half a second; the median recording has 0.42 s. */
export const FRAMES = 50

/** Periodic Hamming window: `0.54 - 0.46 cos(2 pi n / 160)`. */
const HAMMING = Float64Array.from({ length: WINDOW }, (_, n) => 0.54 - 0.46 * Math.cos((2 * Math.PI * n) / WINDOW))

/**
 * Log spectrograms `log(1 + |STFT|)` of samples scaled to -1..1, each normalised to mean 0 and standard deviation 1 (a
 * silent recording is all 0). Frame f covers samples 80 f .. 80 f + 159; a recording is cut or padded with silence to 50
 * frames.
 *
 * @returns float32 `[n, 81, 50]`: frequency, then time
 */
export function logSpectrograms(recordings: readonly Pick<Recording, 'samples'>[]): FloatTensor {
  const size = BINS * FRAMES
  const data = new Float32Array(recordings.length * size)
  const magnitudes = windowTransform()
  for (const [r, { samples }] of recordings.entries()) {
    const one = data.subarray(r * size, (r + 1) * size)
    for (let f = 0; f < FRAMES; f++) {
      const frame = magnitudes(samples, f * HOP)
      for (let k = 0; k < BINS; k++) one[k * FRAMES + f] = Math.log1p(frame[k]!)
    }
    normalise(one)
  }
  return { data, shape: [recordings.length, BINS, FRAMES], dtype: 'float32' }
}

/**
 * Magnitudes of the 160-point transform of one window: five transforms of 32 points (every fifth sample), put together
 * with twiddle factors, as fft.js takes powers of two only.
 */
function windowTransform(): (samples: Int16Array, start: number) => Float64Array {
  const parts = 5
  const points = WINDOW / parts
  const fft = new FFT(points)
  const input = new Float64Array(points)
  const spectra = Array.from({ length: parts }, () => fft.createComplexArray())
  const cosine = Float64Array.from({ length: WINDOW }, (_, i) => Math.cos((2 * Math.PI * i) / WINDOW))
  const sine = Float64Array.from({ length: WINDOW }, (_, i) => Math.sin((2 * Math.PI * i) / WINDOW))
  const out = new Float64Array(BINS)
  return (samples, start) => {
    for (const [part, spectrum] of spectra.entries()) {
      for (let m = 0; m < points; m++) {
        const n = parts * m + part
        input[m] = ((samples[start + n] ?? 0) / 32768) * HAMMING[n]!
      }
      fft.realTransform(spectrum, input)
      fft.completeSpectrum(spectrum)
    }
    for (let k = 0; k < BINS; k++) {
      let real = 0
      let imaginary = 0
      const at = 2 * (k % points)
      for (const [part, spectrum] of spectra.entries()) {
        // exp(-2 pi i part k / 160) times the part's bin.
        const c = cosine[(part * k) % WINDOW]!
        const s = sine[(part * k) % WINDOW]!
        real += spectrum[at]! * c + spectrum[at + 1]! * s
        imaginary += spectrum[at + 1]! * c - spectrum[at]! * s
      }
      out[k] = Math.hypot(real, imaginary)
    }
    return out
  }
}

function normalise(values: Float32Array): void {
  let sum = 0
  for (const value of values) sum += value
  const mean = sum / values.length
  let squares = 0
  for (const value of values) squares += (value - mean) ** 2
  const deviation = Math.sqrt(squares / values.length)
  for (let i = 0; i < values.length; i++) values[i] = deviation > 0 ? (values[i]! - mean) / deviation : 0
}
