import type { Browser, BrowserContext, Page } from '@roundsman/testing'
import type { Role } from '@roundsman/db'
import type { ConsoleStack } from './openConsoleStack.ts'

export interface ViewerOptions {
  /** Default: nobody is logged in. */
  role?: Role
  /** Below /console. Default: `/`. */
  path?: string
  width?: number
  /** Default: Europe/Berlin. */
  timeZone?: string
  colorScheme?: 'light' | 'dark'
  /** Called before the page opens. */
  prepare?: (page: Page) => Promise<void>
}

export interface Viewer {
  context: BrowserContext
  page: Page
  /** The browser's complaints: errors of scripts, and what the policy forbade. */
  complaints: string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** Opens the console for somebody, in a browser profile of their own. */
export async function openViewer(
  browser: Browser,
  stack: ConsoleStack,
  options: ViewerOptions = {},
): Promise<Viewer> {
  const { role, path = '/', width = 1280, colorScheme = 'light', prepare } = options
  const { timeZone = 'Europe/Berlin' } = options
  const context = await browser.newContext({
    baseURL: stack.url,
    viewport: { width, height: 900 },
    colorScheme,
    locale: 'en-GB',
    timezoneId: timeZone,
    // Without motion: what moves is not in place yet, and what fades in has no contrast yet.
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(15_000)
  if (role !== undefined) {
    const value = stack.issueSession(role)
    const cookie = { name: 'roundsman_session', value, url: stack.url, httpOnly: true }
    await context.addCookies([{ ...cookie, sameSite: 'Strict' }])
  }
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await context.exposeFunction('complain', (what: string) => void complaints.push(what))
  await context.addInitScript(`
    document.addEventListener('securitypolicyviolation', (event) => {
      complain('forbidden by ' + event.effectiveDirective + ': ' + event.blockedURI)
    })`)
  await prepare?.(page)
  await page.goto(`/console${path}`)
  return { context, page, complaints, [Symbol.asyncDispose]: () => context.close() }
}
