// The certificate files of a configuration.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TlsOptions } from '../oip/server.ts'
import type { Mistake } from './mistakes.ts'
import type { Config } from './schema.ts'

/** PEM texts, and what is wrong with them: all of it at once, before anything is started. */
export function readTls(
  files: NonNullable<Config['tls']>,
  folder: string,
): { readonly tls: TlsOptions; readonly mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = []
  const read = <T>(field: 'cert' | 'key' | 'ca', o: { parse: (pem: string) => T; what: string }) => {
    const file = resolve(folder, files[field] as string)
    const say = (message: string) => void mistakes.push({ path: `tls.${field}`, message })
    let pem = ''
    try {
      pem = readFileSync(file, 'utf8')
    } catch (error) {
      say(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`)
      return { pem }
    }
    try {
      return { pem, parsed: o.parse(pem) }
    } catch {
      say(`${file} must be ${o.what} in PEM`)
      return { pem }
    }
  }
  const certificate = { parse: (pem: string) => new X509Certificate(pem), what: 'a certificate' }
  const cert = read('cert', certificate)
  const key = read('key', { parse: (pem) => createPrivateKey(pem), what: 'a private key without a passphrase' })
  const ca = files.ca === undefined ? undefined : read('ca', certificate)
  if (cert.parsed && key.parsed && !cert.parsed.checkPrivateKey(key.parsed))
    mistakes.push({ path: 'tls.key', message: 'must be the key of the certificate' })
  return { tls: { cert: cert.pem, key: key.pem, ...(ca ? { ca: ca.pem } : {}) }, mistakes }
}
