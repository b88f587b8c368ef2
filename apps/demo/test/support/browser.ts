// A real Chromium, and a page of it that remembers what went wrong.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'

export const chromiumPath = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))

const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')
/** Why the browser's tests are skipped, or nothing. */
export const skipReason = chromiumPath === undefined && !required ? ' (skipped: no Chromium on PATH)' : ''

export function openBrowser(args: readonly string[] = []): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', ...args] })
}

export interface Watched {
  readonly page: Page
  /** Errors and warnings of the console, failed requests, exceptions. */
  readonly troubles: string[]
}

export async function openPage(browser: Browser, options: Parameters<Browser['newPage']>[0] = {}): Promise<Watched> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options })
  const troubles: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      troubles.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => troubles.push(`exception: ${error.message}`))
  page.on('requestfailed', (request) => troubles.push(`failed: ${request.url()}`))
  return { page, troubles }
}

/** The data attributes of an element, once a predicate of them holds. */
export async function until(
  page: Page,
  testId: string,
  holds: (data: Readonly<Record<string, string>>) => boolean,
): Promise<Readonly<Record<string, string>>> {
  const deadline = Date.now() + 40_000
  let last: Record<string, string> = {}
  while (Date.now() < deadline) {
    const found = page.getByTestId(testId)
    if ((await found.count()) > 0) {
      last = await found.evaluate((element) => ({ ...(element as HTMLElement).dataset }) as Record<string, string>)
      if (holds(last)) return last
    }
    await page.waitForTimeout(50)
  }
  throw new Error(`${testId} did not get there; it is ${JSON.stringify(last)}`)
}
