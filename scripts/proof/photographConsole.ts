import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openBrowser, type Browser, type BrowserContext, type Page } from '@roundsman/testing'
import { DEMO_PASSWORD } from '../seed/seedDemoData.ts'
import { EMPTY, FILLED, type Shot } from './consoleShots.ts'
import { openStack } from './openStack.ts'
import { shrinkPicture } from './pictures.ts'

/** A picture of a screen, by the name of its file. */
export interface Photograph {
  title: string
  view: string
  file: string
}

interface View {
  name: string
  width: number
  colorScheme: 'light' | 'dark'
}

const LIGHT: View = { name: 'light', width: 1_280, colorScheme: 'light' }
const VIEWS: readonly View[] = [
  LIGHT,
  { name: 'dark', width: 1_280, colorScheme: 'dark' },
  { name: 'narrow', width: 375, colorScheme: 'light' },
]
const HEIGHT = 800
/** Of a page that is longer, the rest is left out. */
const MAX_HEIGHT = { wide: 1_300, narrow: 2_000 }

/**
 * Pictures of every screen of the console, in place of those in the folder: wide and narrow, light and dark, as somebody sees
 * it after the first start, and empty.
 */
export async function photographConsole(folder: string): Promise<Photograph[]> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const browser = await openBrowser()
  const taken: Photograph[] = []
  const take = async (baseUrl: string, view: View, name: string, shots: readonly Shot[]) => {
    const context = await openContext(browser, baseUrl, view)
    try {
      // Nobody is logged in at first.
      for (const shot of shots.toSorted(outsideFirst)) {
        const file = `${name}-${shot.file}.png`
        await writeFile(join(folder, file), await photograph(context, view, shot))
        taken.push({ title: shot.title, view: name, file })
      }
    } finally {
      await context.close()
    }
  }
  try {
    const filled = await openStack({ DEMO_JOBS: 'true' })
    try {
      for (const view of VIEWS) await take(filled.baseUrl, view, view.name, FILLED)
    } finally {
      await filled.close()
    }
    const empty = await openStack({ DEMO_JOBS: 'false' })
    try {
      await take(empty.baseUrl, LIGHT, 'empty', EMPTY)
    } finally {
      await empty.close()
    }
  } finally {
    await browser.close()
  }
  return taken
}

interface PageSize {
  scrollHeight: number
  scrollWidth: number
  /** Without the room that is left for a scrollbar. */
  clientWidth: number
}

const SIZE = `(() => {
  const { scrollHeight, scrollWidth, clientWidth } = document.documentElement
  return { scrollHeight, scrollWidth, clientWidth }
})()`

const UNTIL_SHOWN = `(async () => {
  while (document.querySelector('.skeleton, [aria-busy=true], .isDim')) await new Promise(requestAnimationFrame)
})()`

function outsideFirst(one: Shot, other: Shot): number {
  return Number(other.isOutside ?? false) - Number(one.isOutside ?? false)
}

async function openContext(
  browser: Browser,
  baseURL: string,
  { width, colorScheme }: View,
): Promise<BrowserContext> {
  return await browser.newContext({
    baseURL,
    colorScheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    viewport: { width, height: HEIGHT },
  })
}

async function photograph(
  context: BrowserContext,
  { width }: View,
  { path, shows, open, isScrolled = false, isOutside = false }: Shot,
): Promise<Uint8Array> {
  const page = await context.newPage()
  try {
    await page.goto(`/console/${path}`)
    if (!isOutside) await logIn(page)
    await open?.(page)
    await page.getByText(shows).filter({ visible: true }).first().waitFor()
    // What was clicked may have given its place to something that has a tooltip.
    await page.mouse.move(0, 0)
    await page.getByRole('tooltip').waitFor({ state: 'hidden' })
    await page.evaluate(UNTIL_SHOWN)
    const { scrollHeight, scrollWidth, clientWidth } = await page.evaluate<PageSize>(SIZE)
    if (scrollWidth > clientWidth) {
      throw new Error(`${path} is ${scrollWidth} px wide where there are ${clientWidth}`)
    }
    const isOpen = await page.getByRole('dialog').isVisible()
    const most = width < 600 ? MAX_HEIGHT.narrow : MAX_HEIGHT.wide
    const picture = await page.screenshot(
      isOpen
        ? {}
        : isScrolled
          ? { clip: { x: 0, y: 0, width: clientWidth, height: HEIGHT } }
          : {
              fullPage: true,
              clip: { x: 0, y: 0, width: clientWidth, height: Math.min(scrollHeight, most) },
            },
    )
    return shrinkPicture(picture)
  } finally {
    // What is held by a picture would be sent when its page is closed.
    await page.evaluate('stop()')
    await page.close()
  }
}

/** Where nobody is yet. */
async function logIn(page: Page): Promise<void> {
  const email = page.getByLabel('E-mail')
  const heading = page.locator('main').getByRole('heading', { level: 1 })
  await email.or(heading).first().waitFor()
  if (!(await email.isVisible())) return
  await email.fill('admin@example.com')
  await page.getByLabel('Password').fill(DEMO_PASSWORD)
  await page.keyboard.press('Enter')
  await email.waitFor({ state: 'detached' })
}
