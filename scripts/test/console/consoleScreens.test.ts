import { openBrowser, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fillConsole, type Filling } from './fillConsole.ts'
import { findBarriers } from './findBarriers.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer, type Viewer } from './openViewer.ts'

const NARROW_PX = 375

/** Of the body, which leaves room for a scrollbar: what is wider makes the page scroll sideways. */
const OVERFLOW_PX = 'document.documentElement.scrollWidth - document.body.offsetWidth'
/** Colours pass from one scheme to the other, and until they have they are of neither. */
const UNTIL_STILL = `(async () => {
  do await new Promise(requestAnimationFrame)
  while (document.getAnimations().length > 0)
})()`

interface Screen {
  title: string
  path: (filling: Filling) => string
  heading: string
  /** What is to be seen before it counts as loaded. */
  shows?: string
  /** Default: an admin. */
  role?: 'admin' | 'staff' | 'nobody'
  /** Opens what is not open at first. */
  open?: (page: Page) => Promise<void>
}

const FILLED: readonly Screen[] = [
  { title: 'overview', path: () => '/', heading: 'Overview', shows: 'Dead letters' },
  { title: 'jobs', path: () => '/jobs', heading: 'Jobs', shows: 'countSheep' },
  { title: 'a scheduled job', path: () => '/jobs/countSheep', heading: 'countSheep', shows: 'p95' },
  { title: 'a paused job', path: () => '/jobs/pruneRows', heading: 'pruneRows', shows: 'Policies' },
  {
    title: 'a job on request',
    path: () => '/jobs/walkSteps',
    heading: 'walkSteps',
    shows: 'Policies',
  },
  { title: 'runs', path: () => '/runs', heading: 'Runs', shows: 'The newest 50 runs' },
  {
    title: 'a run under way',
    path: ({ running }) => `/runs/${running.id}`,
    heading: 'Run of walkSteps',
    shows: 'Timeline',
  },
  {
    title: 'a failed run',
    path: ({ failed }) => `/runs/${failed.id}`,
    heading: 'Run of callPartner',
    shows: 'Timeline',
  },
  {
    title: 'a blocked run',
    path: ({ blocked }) => `/runs/${blocked.id}`,
    heading: 'Run of pruneRows',
    shows: 'Timeline',
  },
  { title: 'queue', path: () => '/queue', heading: 'Queue', shows: 'partner_down' },
  {
    title: 'a dialog',
    path: () => '/jobs',
    heading: 'Jobs',
    open: (page) => page.getByRole('button', { name: 'Run now: greetCustomer' }).click(),
    shows: 'Payload, as JSON',
  },
  {
    title: 'the shortcuts',
    path: () => '/jobs',
    heading: 'Jobs',
    open: (page) => page.getByRole('button', { name: 'Keyboard shortcuts' }).click(),
    shows: 'Go to the queue',
  },
  { title: 'the log-in', path: () => '/', heading: 'Log in', role: 'nobody' },
  { title: 'the refusal', path: () => '/', heading: 'This console is not for you', role: 'staff' },
]

const EMPTY: readonly Screen[] = [
  { title: 'overview', path: () => '/', heading: 'Overview', shows: 'No worker has been seen' },
  { title: 'jobs', path: () => '/jobs', heading: 'Jobs', shows: 'There are no jobs yet' },
  {
    title: 'a job',
    path: () => '/jobs/gone',
    heading: 'gone',
    shows: 'There is no job with this name',
  },
  { title: 'runs', path: () => '/runs', heading: 'Runs', shows: 'Nothing has run yet' },
  {
    title: 'a run',
    path: () => `/runs/019ab000-0000-7000-8000-000000000000`,
    heading: 'Run',
    shows: 'There is no run with this id',
  },
  { title: 'queue', path: () => '/queue', heading: 'Queue', shows: 'There are no queues yet' },
  { title: 'nothing', path: () => '/nowhere', heading: 'Nothing here' },
]

let browser: Browser

beforeAll(async () => {
  browser = await openBrowser()
})

afterAll(async () => {
  await browser?.close()
})

describe('filled screens', () => {
  let stack: ConsoleStack
  let filling: Filling

  beforeAll(async () => {
    stack = await openConsoleStack()
    filling = await fillConsole(stack)
  })

  afterAll(async () => {
    await stack?.close()
  })

  it.each(FILLED)('keep nobody out, fit, and respect their policy: $title', async (screen) => {
    await expectSound(stack, screen, filling)
  })
})

describe('empty screens', () => {
  let stack: ConsoleStack

  beforeAll(async () => {
    stack = await openConsoleStack({ isEmpty: true })
  })

  afterAll(async () => {
    await stack?.close()
  })

  it.each(EMPTY)('keep nobody out, fit, and respect their policy: $title', async (screen) => {
    await expectSound(stack, screen)
  })
})

async function expectSound(stack: ConsoleStack, screen: Screen, filling?: Filling): Promise<void> {
  await using viewer = await openScreen(stack, screen, filling)
  const { page, complaints } = viewer
  expect(await findBarriers(page), 'light').toEqual([])
  await page.setViewportSize({ width: NARROW_PX, height: 800 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.evaluate(UNTIL_STILL)
  expect(await page.evaluate(OVERFLOW_PX)).toBe(0)
  expect(await findBarriers(page), 'dark and narrow').toEqual([])
  // Whoever is refused is told so by the status of an answer, and the browser repeats it.
  expect(complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([])
}

async function openScreen(
  stack: ConsoleStack,
  { path, heading, shows, role = 'admin', open }: Screen,
  filling?: Filling,
): Promise<Viewer> {
  const viewer = await openViewer(browser, stack, {
    ...(role !== 'nobody' && { role }),
    path: path(filling as Filling),
  })
  const { page } = viewer
  await page.getByRole('heading', { name: heading, level: 1, exact: true }).waitFor()
  await open?.(page)
  if (shows !== undefined) await page.getByText(shows).first().waitFor()
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  return viewer
}
