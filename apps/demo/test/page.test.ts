// The built page in a real browser: each tab is broken, and what it says then is checked.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser, openPage, skipReason, until } from './support/browser.ts'
import { servePage, type ServedPage } from './support/command.ts'

const folder = resolve('dist/page')
if (!existsSync(join(folder, 'index.html')))
  throw new Error('the page is not built; run: pnpm exec turbo run build --filter=@ft/demo')

describe('the built page', () => {
  it('loads with less than 300 kB, compressed', () => {
    const html = readFileSync(join(folder, 'index.html'), 'utf8')
    const named = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path as string)
    expect(named.some((path) => path.endsWith('.js'))).toBe(true)
    expect(named.some((path) => path.endsWith('.css'))).toBe(true)
    const bytes = (path: string) => gzipSync(readFileSync(join(folder, path))).length
    const first = gzipSync(html).length + named.reduce((sum, path) => sum + bytes(path), 0)
    expect(first).toBeLessThan(300_000)
    // A tab with its worker: what a click costs, the flights aside
    const scripts = readdirSync(join(folder, 'assets')).filter((name) => name.endsWith('.js'))
    for (const name of scripts) expect([name, bytes(join('assets', name)) < 300_000]).toEqual([name, true])
  })
})

describe.skipIf(skipReason !== '')(`the page in Chromium${skipReason}`, () => {
  let browser: Browser
  let server: ServedPage
  beforeAll(async () => {
    server = await servePage(resolve('dist/main.js'))
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  const open = async (hash: string, options = {}) => {
    const watched = await openPage(browser, options)
    await watched.page.goto(`${server.url}${hash}`)
    return watched
  }

  it('bits: flips are found, located and repaired to the last bit', async () => {
    const { page, troubles } = await open('#bits?seed=3&bit=30')
    expect(await until(page, 'bits-result', () => true)).toMatchObject({ changed: '0', wrong: '0', status: 'clean' })
    await page.getByTestId('break').click()
    const broken = await until(page, 'bits-result', ({ changed }) => changed !== '0')
    // Twelve flips of the highest exponent bit: each changes its value beyond any rounding
    expect(broken).toMatchObject({ changed: '12', wrong: '0', status: 'corrected' })
    expect(Number(broken['found'])).toBeGreaterThanOrEqual(12)
    // Without protection the same flips stay
    await page.getByLabel('Protection').selectOption('none')
    expect(await until(page, 'bits-result', ({ wrong }) => wrong !== '0')).toMatchObject({
      changed: '12',
      wrong: '12',
      found: '0',
    })
    expect(troubles).toEqual([])
    await page.close()
  })

  it('bits: the same on WebGPU, where there is an adapter', async () => {
    const own = await openBrowser(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'])
    try {
      const { page, troubles } = await openPage(own)
      await page.goto(`${server.url}#bits?seed=3&bit=30&engine=webgpu&broken=1`)
      const broken = await until(page, 'bits-result', ({ engine, changed }) => engine === 'webgpu' && changed !== '0')
      expect(broken).toMatchObject({ changed: '12', wrong: '0', status: 'corrected' })
      expect(troubles).toEqual([])
    } finally {
      await own.close()
    }
  })

  it('bits: a measurement of every bit fills the chart', async () => {
    const { page, troubles } = await open('#bits?scheme=row')
    await until(page, 'bits-result', () => true)
    await page.getByRole('button', { name: 'Measure every bit' }).click()
    const tally = await until(page, 'bits-tally', ({ done, total }) => done === total)
    expect(tally['total']).toBe(String(24 * 32))
    expect(troubles).toEqual([])
    await page.close()
  })

  it('rooflines: one scheme for all is dearer than the guide’s choice', async () => {
    const { page, troubles } = await open('#plan?network=resnet50&batch=16')
    const before = await until(page, 'plan-result', ({ scheme }) => scheme === 'guided')
    await page.getByTestId('break').click()
    const after = await until(page, 'plan-result', ({ scheme }) => scheme !== 'guided')
    expect(Number(after['extra'])).toBeGreaterThan(Number(before['guided']))
    // A larger batch moves layers to the right
    await page.getByLabel('Batch').fill('12')
    const large = await until(page, 'plan-result', ({ below }) => below !== before['below'])
    expect(Number(large['below'])).toBeLessThan(Number(before['below']))
    expect(troubles).toEqual([])
    await page.close()
  })

  const stopWorker = async (page: Page, { after }: { after: number }) => {
    const calm = await until(page, 'serve-result', ({ answered }) => Number(answered) > after)
    expect(calm).toMatchObject({ wrong: '0', broken: 'false' })
    await page.getByTestId('break').click()
    const struck = await until(
      page,
      'serve-result',
      ({ broken, reconstructed }) => broken === 'true' && Number(reconstructed) > 0,
    )
    expect(struck['wrong']).toBe('0')
  }

  it('serving: a stopped worker is answered for, and no answer is wrong', async () => {
    const { page, troubles } = await open('#serve?speed=4&late=0')
    await stopWorker(page, { after: 1000 })
    expect(troubles).toEqual([])
    await page.close()
  })

  it('serving on the server: a worker process gets SIGSTOP, another SIGKILL, and no answer is wrong', async () => {
    const { page, troubles } = await open('#serve?where=server&late=0&load=0.3')
    await page.getByText('a stop is SIGSTOP').waitFor()
    await stopWorker(page, { after: 100 })
    await page.getByRole('button', { name: 'Kill a worker' }).click()
    await page.getByText('one worker of each cluster got SIGKILL').waitFor()
    await until(page, 'serve-result', ({ answered }) => Number(answered) > 100)
    expect(await until(page, 'serve-result', ({ broken }) => broken === 'true')).toMatchObject({ wrong: '0' })
    expect(troubles).toEqual([])
    await page.close()
  })

  it('shards: a killed shard is rebuilt, and every bit is the twin’s', async () => {
    const { page, troubles } = await open('#shards?pace=60&sweep=200')
    await until(page, 'shards-result', ({ step }) => Number(step) > 20)
    await page.getByTestId('break').click()
    await until(page, 'shards-result', ({ kills, replaced }) => kills === '1' && replaced === '1')
    const rebuilt = await until(page, 'shards-result', ({ missing, kills }) => kills === '1' && missing === '0')
    expect(rebuilt['unlike']).toBe('0')
    await page.getByRole('button', { name: 'Compare every bit' }).click()
    expect(await until(page, 'shards-result', ({ compared }) => Number(compared) > 20)).toMatchObject({
      differing: '0',
    })
    expect(troubles).toEqual([])
    await page.close()
  })

  it('shards on the server: a process gets SIGKILL, and every bit is the twin’s', async () => {
    const { page, troubles } = await open('#shards?where=server&pace=60&sweep=200')
    // The first run begins in the page: the server is asked meanwhile
    await page.getByText('a kill is SIGKILL').waitFor()
    await until(page, 'shards-result', ({ step, kills }) => Number(step) > 20 && kills === '0')
    await page.getByRole('button', { name: 'Kill server 3' }).click()
    await until(page, 'shards-result', ({ replaced }) => replaced === '1')
    await until(page, 'shards-result', ({ missing }) => missing === '0')
    await page.getByRole('button', { name: 'Compare every bit' }).click()
    expect(await until(page, 'shards-result', ({ compared }) => Number(compared) > 20)).toMatchObject({
      differing: '0',
      unlike: '0',
    })
    expect(troubles).toEqual([])
    await page.close()
  })

  it('trees: turned labels make both ensembles worse', async () => {
    const { page, troubles } = await open('#trees?rounds=20', { reducedMotion: 'reduce' })
    await until(page, 'trees-result', ({ finished }) => finished === 'true')
    const rows = () => page.getByTestId('trees-result').locator('tbody tr').allInnerTexts()
    expect(await rows()).toHaveLength(2)
    await page.getByTestId('break').click()
    await until(page, 'trees-result', ({ finished, turned }) => finished === 'true' && Number(turned) > 1000)
    const losses = (await rows()).map((text) => Number(/0\.\d{4}/.exec(text)?.[0]))
    // Before MART, before DART, now MART, now DART
    expect(losses).toHaveLength(4)
    expect(losses[2]).toBeGreaterThan(losses[0] as number)
    expect(losses[3]).toBeGreaterThan(losses[1] as number)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('settings and seed live in the address, and a link repeats them', async () => {
    const { page } = await open('#trees?rounds=10')
    await page.getByLabel('Seed').fill('77')
    await page.getByLabel('Depth').fill('2')
    await expect.poll(() => page.url()).toContain('seed=77')
    expect(page.url()).toContain('depth=2')
    const again = await openPage(browser)
    await again.page.goto(page.url())
    expect(await again.page.getByLabel('Seed').inputValue()).toBe('77')
    expect(await again.page.getByLabel('Depth').inputValue()).toBe('2')
    // What an address says wrongly is its default, what is out of range its nearest end
    await again.page.goto(`${server.url}#trees?seed=abc&depth=99`)
    await again.page.reload()
    expect(await again.page.getByLabel('Seed').inputValue()).toBe('1')
    expect(await again.page.getByLabel('Depth').inputValue()).toBe('6')
    await page.close()
    await again.page.close()
  })

  it('works by keyboard alone', async () => {
    const { page } = await open('')
    await page.locator('nav a').first().waitFor()
    for (let i = 0; i < 3; i++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.url()).toContain('#plan')
    await until(page, 'plan-result', () => true)
    await page.getByTestId('break').focus()
    await page.keyboard.press('Space')
    await until(page, 'plan-result', ({ scheme }) => scheme !== 'guided')
    await page.close()
  })

  it.each([
    ['phone', { width: 360, height: 740 }],
    ['desktop', { width: 1280, height: 800 }],
  ])('fits a %s: nothing is wider than the window, in dark and light', async (_, viewport) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, troubles } = await open('', { viewport, colorScheme })
      for (const tab of ['story', 'bits', 'plan', 'serve', 'shards', 'trees']) {
        await page.goto(`${server.url}#${tab}`)
        await page.locator('article h2').waitFor()
        await page.waitForTimeout(300)
        const [inner, scroll] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth])
        expect([tab, scroll]).toEqual([tab, inner])
      }
      expect(troubles).toEqual([])
      await page.close()
    }
  })

  it('a static build without a server says what is simulated', async () => {
    const { page } = await openPage(browser)
    await page.route('**/api/hello', (route) => route.fulfill({ status: 404, body: '' }))
    await page.goto(server.url)
    await page.getByText('This is a static build').waitFor()
    await page.goto(`${server.url}#shards`)
    await page.getByText('the processes are simulated').waitFor()
    expect(await page.getByLabel('Shards').count()).toBe(0)
    await page.close()
  })
})
