import { openBrowser, waitFor, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { STEPS } from './createTestJobs.ts'
import { expectSeen } from './expectSeen.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer } from './openViewer.ts'

const HOUR_MS = 3_600_000

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack()])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

describe('a run', () => {
  it('is followed from its start to its end, on one and the same page', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/jobs' })
    const { page } = viewer
    await liveMark(page, 'Live').waitFor()
    await stayOnPage(page)
    await page.getByRole('button', { name: 'Run now: walkSteps' }).click()
    await page.getByRole('dialog').getByLabel('Reason').fill('To watch it')
    await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('link', { name: 'Its runs' }).click()
    await page.getByRole('link', { name: 'run of walkSteps' }).click()
    await followToItsEnd(page)
    await liveMark(page, 'Live').waitFor()
    expect(await hasStayed(page)).toBe(true)
  })

  it('shows up on the overview, the list and the queue while one looks', async () => {
    await using overview = await openViewer(browser, stack, { role: 'admin' })
    await using runs = await openViewer(browser, stack, {
      role: 'admin',
      path: '/runs?name=walkSteps&status=running',
    })
    await using queue = await openViewer(browser, stack, { role: 'admin', path: '/queue' })
    for (const { page } of [overview, runs, queue]) await liveMark(page, 'Live').waitFor()
    await runs.page.getByText('No run is like that').waitFor()
    await stack.enqueue('walkSteps')
    await workers(overview.page).getByRole('link', { name: 'walkSteps' }).waitFor()
    await runs.page.getByRole('link', { name: 'run of walkSteps' }).waitFor()
    await queue.page.getByText('0 waiting, 1 active').waitFor()
    stack.steps.open(STEPS)
    await workers(overview.page).getByText('Waits for work').waitFor()
    await runs.page.getByText('No run is like that').waitFor()
    await expectSeen(queue.page.getByText('0 waiting, 0 active'))
  })

  it('is followed by asking again and again where events do not pass', async () => {
    await using viewer = await openViewer(browser, stack, {
      role: 'admin',
      path: '/runs?status=running',
      prepare: async (page) => {
        await page.route('**/api/jobs/events', (route) => route.abort())
        await page.clock.install()
      },
    })
    const { page } = viewer
    const passPollTime = () => page.clock.runFor(5_000)
    await liveMark(page, 'Every 5 s').waitFor()
    await stayOnPage(page)
    await stack.enqueue('walkSteps')
    await waitFor(() => stack.prisma.jobRun.findFirst({ where: { status: 'running' } }))
    await passPollTime()
    await page.getByRole('link', { name: 'run of walkSteps' }).click()
    await followToItsEnd(page, passPollTime)
    await liveMark(page, 'Every 5 s').waitFor()
    expect(await hasStayed(page)).toBe(true)
  })
})

describe('a server that is gone', () => {
  it('is said to be, and what is on screen stays; once it is back, so is the present', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/runs' })
    const { page } = viewer
    await liveMark(page, 'Live').waitFor()
    await page.getByRole('link', { name: 'run of walkSteps' }).first().waitFor()
    await stayOnPage(page)
    await stack.stopServer()
    try {
      await page.getByText('The server cannot be reached.').waitFor()
      await liveMark(page, 'Stale').waitFor()
      await page.getByRole('link', { name: 'run of walkSteps' }).first().waitFor()
      // The worker goes on without the API.
      await stack.enqueue('countSheep')
      await waitFor(() =>
        stack.prisma.jobRun.findFirst({ where: { name: 'countSheep', status: 'success' } }),
      )
    } finally {
      await stack.startServer()
    }
    await page.getByText('The server cannot be reached.').waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'run of countSheep' }).waitFor()
    await liveMark(page, 'Live').waitFor()
    expect(await hasStayed(page)).toBe(true)
  })

  it('is waited for by a page that has nothing to show yet', async () => {
    await using viewer = await openViewer(browser, stack, {
      role: 'admin',
      path: '/queue',
      prepare: async (page) => {
        let isFirst = true
        await page.route('**/api/console/session', async (route) => {
          if (!isFirst) return await route.continue()
          isFirst = false
          return await route.abort('connectionrefused')
        })
      },
    })
    await viewer.page.getByText('Trying again every few seconds.').waitFor()
    await expectSeen(viewer.page.getByRole('heading', { name: 'Queue', level: 1 }))
  })
})

describe('a tab that nobody looks at', () => {
  it('asks for nothing at all, and for everything once somebody looks again', async () => {
    await using viewer = await openViewer(browser, stack, {
      role: 'admin',
      prepare: (page) => page.clock.install(),
    })
    const { page } = viewer
    await liveMark(page, 'Live').waitFor()
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    // While it is looked at, it does ask.
    await page.clock.runFor(60_000)
    await waitFor(() => asked.includes('/api/console/overview'))

    await setHidden(page, true)
    await liveMark(page, 'Resting').waitFor()
    await page.waitForLoadState('networkidle')
    asked.length = 0
    await stack.enqueue('countSheep')
    await page.clock.runFor(HOUR_MS / 4)
    expect(asked).toEqual([])

    await setHidden(page, false)
    await liveMark(page, 'Live').waitFor()
    expect(asked).toEqual(expect.arrayContaining(['/api/console/overview', '/api/jobs/events']))
  })
})

/** `refresh` is called when there is something new to see. */
async function followToItsEnd(page: Page, refresh?: () => Promise<void>): Promise<void> {
  const lead = page.locator('.runLead')
  const running = { name: 'walkSteps', status: 'running' as const }
  await lead.getByText('Running').waitFor()
  for (let done = 0; done < STEPS; done += 1) {
    const progress = { path: ['done'], equals: done }
    await waitFor(() => stack.prisma.jobRun.findFirst({ where: { ...running, progress } }))
    await refresh?.()
    await lead.getByText(`${done} of ${STEPS} · ${Math.floor((100 * done) / STEPS)} %`).waitFor()
    stack.steps.open(1)
  }
  await waitFor(async () => (await stack.prisma.jobRun.count({ where: running })) === 0)
  await refresh?.()
  await lead.getByText('Success').waitFor()
  await page.getByText('Ended', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Run again' }).waitFor()
}

function liveMark(page: Page, text: string) {
  return page.getByRole('banner').getByText(text, { exact: true })
}

function workers(page: Page) {
  return page.getByRole('region', { name: 'Workers' })
}

/** A reload would lose this. */
async function stayOnPage(page: Page): Promise<void> {
  await page.evaluate('globalThis.isTheSamePage = true')
}

async function hasStayed(page: Page): Promise<boolean> {
  return await page.evaluate('globalThis.isTheSamePage === true')
}

/** A headless browser shows every tab, so the page is told what another one would tell it. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${isHidden} })
    document.dispatchEvent(new Event('visibilitychange'))`)
}
