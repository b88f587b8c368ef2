// Text as words, for messages: the number of bytes, then UTF-8.

export function packText(text: string): Uint32Array {
  const bytes = new TextEncoder().encode(text)
  const out = new Uint32Array(1 + Math.ceil(bytes.length / 4))
  out[0] = bytes.length
  new Uint8Array(out.buffer).set(bytes, 4)
  return out
}

/** @throws RangeError when the words are fewer than the text needs */
export function unpackText(words: Uint32Array): string {
  if (words.length === 0) return ''
  return new TextDecoder().decode(new Uint8Array(words.buffer, words.byteOffset + 4, words[0]))
}
