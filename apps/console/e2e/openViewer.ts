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

/** Profiles that somebody has left, of each browser, by what cannot be changed of them. */
const left = new WeakMap<Browser, Map<string, Viewer[]>>()

/**
 * Opens the console for somebody, in a browser profile of their own. Where nothing was prepared for it, it may have been
 * somebody's before, and was emptied: a new one starts a process, which compiles the console's code again.
 */
export async function openViewer(
  browser: Browser,
  stack: ConsoleStack,
  options: ViewerOptions = {},
): Promise<Viewer> {
  const { role, path = '/', width = 1280, colorScheme = 'light', prepare } = options
  const { timeZone = 'Europe/Berlin' } = options
  const profiles = left.get(browser) ?? new Map<string, Viewer[]>()
  left.set(browser, profiles)
  const kind = `${stack.url} ${timeZone}`
  const found = prepare === undefined ? profiles.get(kind)?.pop() : undefined
  const viewer = found ?? (await openProfile(browser, stack, timeZone))
  const { context, page } = viewer
  await page.setViewportSize({ width, height: 900 })
  await page.emulateMedia({ colorScheme })
  if (role !== undefined) {
    const value = stack.issueSession(role)
    const cookie = { name: 'roundsman_session', value, url: stack.url, httpOnly: true }
    await context.addCookies([{ ...cookie, sameSite: 'Strict' }])
  }
  await prepare?.(page)
  await page.goto(`/console${path}`)
  return {
    ...viewer,
    async [Symbol.asyncDispose]() {
      if (prepare !== undefined || !(await empty(viewer))) return await context.close()
      profiles.set(kind, [...(profiles.get(kind) ?? []), viewer])
    },
  }
}

async function openProfile(
  browser: Browser,
  stack: ConsoleStack,
  timeZone: string,
): Promise<Viewer> {
  const context = await browser.newContext({
    baseURL: stack.url,
    locale: 'en-GB',
    timezoneId: timeZone,
    // Without motion: what moves is not in place yet, and what fades in has no contrast yet.
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(15_000)
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
  return { context, page, complaints, [Symbol.asyncDispose]: () => context.close() }
}

/** Takes a profile away from who had it. Returns whether that was possible: the server may be gone. */
async function empty({ context, page, complaints }: Viewer): Promise<boolean> {
  try {
    for (const other of context.pages()) if (other !== page) await other.close()
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    // A page without scripts, of the same origin: its process stays.
    await page.goto('/console/icon.svg')
    await page.evaluate('localStorage.clear(); sessionStorage.clear()')
    await page.mouse.move(0, 0)
    await context.clearCookies()
    complaints.length = 0
    return true
  } catch {
    return false
  }
}
