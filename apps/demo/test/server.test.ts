import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileOf } from '../src/server/files.ts'
import { startPageServer, type PageServer } from '../src/server/server.ts'

describe('the page server', () => {
  const root = mkdtempSync(join(tmpdir(), 'ft-page-'))
  const folder = join(root, 'page')
  let server: PageServer
  beforeAll(async () => {
    mkdirSync(folder)
    writeFileSync(join(folder, 'index.html'), 'the page')
    writeFileSync(join(root, 'secret'), 'not for pages')
    server = await startPageServer({ folder, entry: join(root, 'none.js') })
  })
  afterAll(async () => {
    await server.close()
    rmSync(root, { recursive: true })
  })

  /** A request whose path and headers are sent as they are. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; text: string; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
      const { port } = new URL(server.url)
      const call = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }))
      })
      call.on('error', reject)
      call.end()
    })

  it('serves the page isolated, so that it has shared memory', async () => {
    const { status, text, headers } = await ask('/')
    expect([status, text]).toEqual([200, 'the page'])
    expect(headers['cross-origin-opener-policy']).toBe('same-origin')
    expect(headers['cross-origin-embedder-policy']).toBe('require-corp')
  })

  it('listens on this machine’s own address', () => {
    expect(new URL(server.url).hostname).toBe('127.0.0.1')
  })

  it.each([
    '/../secret',
    '/%2e%2e/secret',
    '/..%2fsecret',
    '/%2e%2e%2fsecret',
    '/a/../../secret',
    '/%00',
    '/%',
    '//etc/passwd',
  ])('gives nothing beside its folder: %s', async (path) => {
    const { status, text } = await ask(path)
    expect(text).not.toContain('not for pages')
    expect(status).toBe(404)
  })

  it('names files of the folder alone', () => {
    expect(fileOf('/srv/page', '/assets/a.js?x#y')).toBe('/srv/page/assets/a.js')
    expect(fileOf('/srv/page', '/')).toBe('/srv/page/index.html')
    expect(fileOf('/srv/page', '/..%2fpages-of-others/x')).toBeUndefined()
  })

  it('refuses other sites: another host name, another origin', async () => {
    expect((await ask('/api/hello', { host: 'rebound.example' })).status).toBe(403)
    expect((await ask('/api/shards/kill?server=1', { origin: 'https://elsewhere.example' }, 'POST')).status).toBe(403)
    expect((await ask('/api/hello', { origin: server.url.slice(0, -1) })).status).toBe(200)
  })

  it.each(['cross-site', 'same-site', 'of tomorrow'])(
    'refuses a picture’s request, which has no origin, from elsewhere: %s',
    async (site) => {
      for (const path of ['/api/hello', '/api/story', '/api/shards', '/api/serving'])
        expect([path, (await ask(path, { 'sec-fetch-site': site })).status]).toEqual([path, 403])
      // A link to the page is no harm.
      expect((await ask('/', { 'sec-fetch-site': site })).status).toBe(200)
    },
  )

  it('answers its own pages and typed addresses', async () => {
    expect((await ask('/api/hello', { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
    expect((await ask('/api/hello', { 'sec-fetch-site': 'none' })).status).toBe(200)
  })

  it('refuses what is not there to kill, and other methods', async () => {
    expect((await ask('/api/shards/kill?server=1', {}, 'POST')).status).toBe(409)
    expect((await ask('/api/serving/break?how=kill', {}, 'POST')).status).toBe(409)
    expect((await ask('/', {}, 'DELETE')).status).toBe(405)
  })

  it('says that the workers could not be started, and lets the next page try', async () => {
    for (let i = 0; i < 2; i++) {
      const { status, text } = await ask('/api/serving?load=0.2&k=2')
      expect(status).toBe(200)
      expect(text).toContain('event: failed')
      expect(text).toContain('event: done')
    }
  })

  it('says that the command could not be run', async () => {
    const { text } = await ask('/api/story')
    expect(text).toContain('event: done')
    expect(text).not.toContain('"code":0')
  })
})
