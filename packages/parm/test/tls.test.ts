// Certificates of the gateway's REST front: its own, and those that it asks of clients.
import { request } from 'node:https'
import { afterEach, expect, it } from 'vitest'
import {
  createGateway,
  firstWins,
  startOipServer,
  type Gateway,
  type OipServer,
  type TlsOptions,
} from '../src/index.ts'
import { testCertificate } from './support/certificate.ts'
import { tripleService } from './support/echo.ts'

let instance: OipServer
let gateway: Gateway
afterEach(async () => {
  await gateway.close()
  instance.destroy()
})

async function start(tls: TlsOptions): Promise<void> {
  instance = await startOipServer(tripleService())
  const instances = [{ url: instance.url, model: 'triple' }]
  gateway = await createGateway({ model: 'm', policy: firstWins(), instances, tls, grpc: {} })
}

/** The status of an answer to a client with these certificates, or why it got none. */
function statusFor(certificates: { cert?: string; key?: string; ca?: string }): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    request(`${gateway.url}/v2/health/ready`, { ...certificates, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
      .once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      .end()
  })
}

const { cert, key } = testCertificate

it('answers anybody who trusts its certificate', async () => {
  await start({ cert, key })
  expect([gateway.url, gateway.grpcUrl]).toEqual([
    expect.stringMatching(/^https:/) as string,
    expect.stringMatching(/^grpcs:/) as string,
  ])
  expect(await statusFor({ ca: cert })).toBe(200)
  expect(await statusFor({})).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
})

it('answers only clients with a certificate of the authority that it is given', async () => {
  await start({ cert, key, ca: cert })
  expect(await statusFor({ ca: cert, cert, key })).toBe(200)
  expect(await statusFor({ ca: cert })).toMatch(/ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED|ECONNRESET|EPIPE/)
  expect(await statusFor({ ca: cert, cert, key })).toBe(200)
})
