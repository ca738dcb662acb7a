// Not quick: starts processes.
import { createProxy, openBrowser, waitFor, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chooseAction } from './chooseAction.ts'
import { ROWS, STEPS } from './createTestJobs.ts'
import { expectSeen } from './expectSeen.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer } from './openViewer.ts'

const HOUR_MS = 3_600_000
/** Opens a stream of its own, and waits for a ping: by then the console's stream got one, too. */
const UNTIL_PINGED = `new Promise((resolve) => {
  const source = new EventSource('/api/jobs/events')
  let pings = 0
  source.addEventListener('ping', () => {
    pings += 1
    if (pings < 3) return
    source.close()
    resolve()
  })
})`

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack({ pingIntervalMs: 50 })])
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
    await chooseAction(page, 'walkSteps', 'Run now')
    await page.getByRole('dialog').getByLabel('Reason').fill('To watch it')
    await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('link', { name: 'Its runs' }).click()
    await page.getByRole('link', { name: 'run of walkSteps' }).click()
    await followToItsEnd(page)
    await liveMark(page, 'Live').waitFor()
    expect(await hasStayed(page)).toBe(true)
  })

  it('shows each of its batches as it is committed', async () => {
    await stack.enqueue('sweepRows')
    // Until its first batch, its claim alone lists it.
    const { runIds, startedAt } = await waitFor(() =>
      stack.prisma.jobClaim.findFirst({ where: { name: 'sweepRows' } }),
    )
    const [id = ''] = runIds
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: `/runs/${id}` })
    const { page } = viewer
    const timeline = page.getByRole('region', { name: 'Timeline' })
    const batches = timeline.getByRole('list', { name: 'Batches' }).getByRole('listitem')
    await liveMark(page, 'Live').waitFor()
    await timeline.getByText('not yet').waitFor()
    expect(await batches.count()).toBe(0)
    for (let done = 1; done <= STEPS; done += 1) {
      stack.steps.open(1)
      const text = `Batch ${done}${ROWS.toLocaleString('en')} cleaned`
      await batches
        .nth(done - 1)
        .filter({ hasText: text })
        .waitFor()
    }
    await timeline.getByText('3 batches', { exact: true }).waitFor()

    const { batchMarks, endedAt } = await waitFor(() =>
      stack.prisma.jobRun.findFirst({ where: { id, status: 'success' } }),
    )
    const kept = (batchMarks as { at: number }[]).map(({ at }) => at)
    const shown = await batches
      .getByRole('time')
      .evaluateAll((all) => all.map((time) => Date.parse(time.getAttribute('datetime') ?? '')))
    expect(shown).toEqual(kept)
    const all = [startedAt.getTime(), ...kept, endedAt!.getTime()]
    expect(all).toEqual(all.toSorted((a, b) => a - b))
    await timeline.getByText('Ended', { exact: true }).waitFor()
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
      path: '/queues',
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
    await expectSeen(viewer.page.getByRole('heading', { name: 'Queues', level: 1 }))
  })
})

describe('a connection', () => {
  it('on which nothing comes any more is noticed, and so is that it leads somewhere again', async () => {
    await stack.prisma.jobRun.deleteMany({ where: { name: 'countSheep' } })
    using proxy = await proxyTo(stack)
    await using viewer = await openViewer(browser, proxy.stack, {
      role: 'admin',
      path: '/runs?name=countSheep',
      prepare: (page) => page.clock.install(),
    })
    const { page } = viewer
    await liveMark(page, 'Live').waitFor()
    await page.getByText('No runs match').waitFor()
    await stayOnPage(page)
    // As long as pings come, the console keeps the stream.
    stack.resumedFrom.length = 0
    for (const _ of [1, 2, 3]) {
      await page.clock.runFor(20_000)
      await page.evaluate(UNTIL_PINGED)
    }
    expect(stack.resumedFrom).toHaveLength(3)
    proxy.goHalfOpen()
    await stack.enqueue('countSheep')
    await waitFor(() =>
      stack.prisma.jobRun.findFirst({ where: { name: 'countSheep', status: 'success' } }),
    )
    await page.clock.runFor(24_000)
    expect(await liveMark(page, 'Live').isVisible()).toBe(true)
    await page.clock.runFor(10_000)
    await page.getByText('The server cannot be reached.').waitFor()
    // Since the last answer, and not since the console noticed.
    await page.getByText(/This page is 3\d s old/).waitFor()
    await liveMark(page, 'Stale').waitFor()

    proxy.heal()
    await waitFor(async () => {
      await page.clock.runFor(3_000)
      return await page.getByRole('link', { name: 'run of countSheep' }).isVisible()
    })
    await page.getByText('The server cannot be reached.').waitFor({ state: 'detached' })
    await liveMark(page, 'Live').waitFor()
    expect(await hasStayed(page)).toBe(true)
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
    // A visible page does ask.
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

/** Follows a run to its end. `refresh` is called when there is something new to see. */
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

/** The same stack behind a network that can fail. */
async function proxyTo(target: ConsoleStack) {
  const proxy = await createProxy(Number(new URL(target.url).port))
  const url = `http://127.0.0.1:${proxy.port}`
  return { ...proxy, stack: { ...target, url }, [Symbol.dispose]: () => proxy.close() }
}

function liveMark(page: Page, text: string) {
  return page.getByRole('banner').getByText(text, { exact: true })
}

/** Marks the page: a reload would lose the mark. */
async function stayOnPage(page: Page): Promise<void> {
  await page.evaluate('globalThis.isTheSamePage = true')
}

async function hasStayed(page: Page): Promise<boolean> {
  return await page.evaluate('globalThis.isTheSamePage === true')
}

/** Tells the page that it is hidden or visible: a headless browser shows every tab. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${isHidden} })
    document.dispatchEvent(new Event('visibilitychange'))`)
}
