// Certificates of an authority of the tests' own, made by openssl.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const withoutOpenssl = spawnSync('openssl', ['version']).error !== undefined

export interface Certificates {
  /** Paths: `ca.pem`; `one.pem` and `one.key`, which it has signed for `name`; `other.pem` and `other.key`, of another authority. */
  at(file: string): string
  remove(): void
}

/** @param name - as in a certificate: `DNS:shard.test`, `IP:127.0.0.1` */
export function makeCertificates(name: string): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'ft-tls-'))
  const at = (file: string): string => join(folder, file)
  const make = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const days = ['-days', '2']
  writeFileSync(at('names'), `subjectAltName=${name}`)
  for (const one of ['ca', 'other'])
    make('req', '-x509', ...key, '-keyout', at(`${one}.key`), '-out', at(`${one}.pem`), '-subj', `/CN=${one}`, ...days)
  make('req', ...key, '-keyout', at('one.key'), '-out', at('one.csr'), '-subj', '/CN=one')
  const sign = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', ...days, '-extfile', at('names')]
  make('x509', '-req', '-in', at('one.csr'), ...sign, '-out', at('one.pem'))
  return { at, remove: () => rmSync(folder, { recursive: true }) }
}
