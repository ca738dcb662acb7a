// Not quick: starts processes.
import { openBrowser, type Browser, type Locator, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { chooseAction } from './chooseAction.ts'
import { fillConsole, fillLimits, ODD_KEY, type Filling as Filled } from './fillConsole.ts'
import { findBarriers } from './findBarriers.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer, type Viewer } from './openViewer.ts'

/** Both schemes, and both widths. */
const VIEWS = [
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 375 },
] as const
/** The other two for what lies over a screen: the screens below it are the largest, and are looked at again. */
const OVERLAY_VIEWS = [
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'light', width: 375 },
] as const
/** Tablets, at both ends of where tables become cards: asked only whether all fits. */
const BETWEEN = [768, 960, 961] as const

/** Compared with the body, which leaves room for a scrollbar: what is wider makes the page scroll sideways. */
const OVERFLOW_PX = 'document.documentElement.scrollWidth - document.body.offsetWidth'
/** A folder for pictures of the screens. */
const PICTURES = process.env['CONSOLE_PICTURES']
/** Where there is no screen. */
const NOWHERE = '/nowhere'
/**
 * Makes colours change at once with the scheme. They pass from one to the other otherwise, those of each mark of a chart by
 * themselves, and meanwhile are of neither. The page's policy lets no style in; a sheet that a script makes needs no leave.
 */
const AT_ONCE = `(() => {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync('*, ::before, ::after { transition: none !important }')
  document.adoptedStyleSheets.push(sheet)
})()`
/** Brings whatever moves to its end. */
const UNTIL_STILL = `(async () => {
  for (;;) {
    await new Promise(requestAnimationFrame)
    const moving = document.getAnimations()
    if (moving.length === 0) return
    for (const animation of moving) animation.finish()
  }
})()`

/** `work`: a piece of work that a limit and a paused key keep waiting. */
type Filling = Filled & { work: string }

interface Screen {
  title: string
  path: (filling: Filling) => string
  heading: string
  /** A text that shows once the screen is loaded. */
  shows?: string
  /** Default: an admin. */
  role?: 'admin' | 'staff' | 'nobody'
  /** Opens what is closed at first. */
  open?: (page: Page) => Promise<void>
  /** Whether something stays that the next screen would show, too. */
  leavesTraces?: boolean
  /** An element to point at in each view, which has a tooltip. */
  tip?: (page: Page) => Locator
}

const FILLED: readonly Screen[] = [
  { title: 'overview', path: () => '/', heading: 'Overview', shows: 'Dead letters' },
  { title: 'jobs', path: () => '/jobs', heading: 'Jobs', shows: 'countSheep' },
  {
    title: 'a scheduled job',
    path: () => '/jobs/countSheep',
    heading: 'countSheep',
    shows: 'Half took up to',
  },
  { title: 'a paused job', path: () => '/jobs/pruneRows', heading: 'pruneRows', shows: 'Policies' },
  {
    title: 'a job on request',
    path: () => '/jobs/walkSteps',
    heading: 'walkSteps',
    shows: 'Policies',
  },
  { title: 'runs', path: () => '/runs', heading: 'Runs', shows: 'The newest 50 runs' },
  {
    title: 'runs, some of them selected',
    path: () => '/runs?outcome=failed&minDurationMs=0',
    heading: 'Runs',
    open: async (page) => {
      await page.getByLabel('Select all on this page').check()
    },
    shows: 'selected',
  },
  {
    title: 'dead letters of a cause, selected',
    path: () => '/dead-letters?errorCode=partner_down',
    heading: 'Dead letters',
    open: selectAll,
    shows: '1 selected',
  },
  {
    title: 'a run under way',
    path: ({ running }) => `/runs/${running.id}`,
    heading: 'Run of walkSteps',
    shows: 'Timeline',
  },
  {
    title: 'a run in batches',
    path: ({ ended }) => `/runs/${ended.id}`,
    heading: 'Run of countSheep',
    shows: '600 cleaned',
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
  {
    title: 'a run that has enqueued others',
    path: ({ parent }) => `/runs/${parent}`,
    heading: 'Run of walkSteps',
    shows: 'The first 20',
  },
  {
    title: 'a run that another has enqueued',
    path: ({ child }) => `/runs/${child}`,
    heading: 'mailSheep: Sheep 1',
    shows: 'started 1 s after this one',
  },
  {
    title: 'schedules of a job',
    path: () => '/jobs/greetCustomer/schedules',
    heading: 'Schedules of greetCustomer',
    shows: 'customer-0050',
  },
  {
    title: 'a schedule',
    path: ({ schedule }) => `/jobs/greetCustomer/schedules/${schedule}`,
    heading: 'customer-0001',
    shows: 'changed the schedule',
  },
  {
    title: 'a paused schedule',
    path: () => '/jobs/greetCustomer/schedules/customer-0002',
    heading: 'customer-0002',
    shows: 'They are on holiday',
  },
  {
    title: 'the form of a new schedule',
    path: () => '/jobs/greetCustomer/new-schedule',
    heading: 'Add a schedule of greetCustomer',
    open: async (page) => {
      await page.getByLabel('When, as a cron expression').fill('30 2 * * 0')
      await page.getByText('More: from, until').click()
    },
    shows: 'only on Sunday',
  },
  {
    title: 'the form of a schedule, with what is wrong',
    path: ({ schedule }) => `/jobs/greetCustomer/schedules/${schedule}/change`,
    heading: 'Change customer-0001',
    open: async (page) => {
      await page.getByLabel('Time zone').fill('Europe/Atlantis')
    },
    shows: 'Cannot be used',
  },
  { title: 'queues', path: () => '/queues', heading: 'Queues', shows: 'Ended by minute' },
  {
    title: 'dead letters',
    path: () => '/dead-letters',
    heading: 'Dead letters',
    shows: 'partner_down',
  },
  {
    title: 'waiting work',
    path: () => '/waiting',
    heading: 'Waiting',
    shows: 'the Circus of the Long Names',
  },
  {
    title: 'waiting work of a group, selected',
    path: () => '/waiting?field=customer&value=Bakery%201&order=last',
    heading: 'Waiting',
    open: selectAll,
    shows: '3 selected',
  },
  {
    title: 'work that waits, and why',
    path: ({ work }) => `/waiting/${work}`,
    heading: 'Work of shearSheep',
    shows: 'Its key farm-7 is paused by owner@example.com: Until they pay',
  },
  { title: 'limits', path: () => '/limits', heading: 'Limits', shows: 'One pair is broken' },
  {
    title: 'keys of a job',
    path: () => '/jobs/shearSheep/keys',
    heading: 'Keys of shearSheep',
    shows: 'Until they pay',
  },
  {
    title: 'a key of a job',
    path: () => '/jobs/shearSheep/keys?key=farm-7',
    heading: 'farm-7',
    shows: 'They pay for five',
  },
  {
    title: 'a key as long as may be',
    path: () => `/jobs/shearSheep/keys?key=${encodeURIComponent(ODD_KEY)}`,
    heading: ODD_KEY,
    shows: 'Their contract has ended',
  },
  { title: 'workers', path: () => '/workers', heading: 'Workers', shows: 'Alive' },
  {
    title: 'the shortcuts',
    path: () => '/jobs',
    heading: 'Jobs',
    open: press('Keyboard shortcuts'),
    shows: 'Go to Queues',
  },
  {
    title: 'what can be done with a job',
    path: () => '/jobs',
    heading: 'Jobs',
    open: async (page) => {
      await page.getByRole('button', { name: 'Actions for countSheep' }).click()
      await page.getByRole('menuitem', { name: 'Runs that failed' }).waitFor()
    },
  },
  {
    title: 'what was done',
    path: () => '/jobs',
    heading: 'Jobs',
    open: async (page) => {
      await chooseAction(page, 'countSheep', 'Dry run')
      await page.getByRole('dialog').getByLabel('Reason').fill('To see the notice')
      await page.getByRole('dialog').getByRole('button', { name: 'Start the dry run' }).click()
    },
    shows: 'A dry run of countSheep is requested',
    leavesTraces: true,
  },
  {
    title: 'a server that is gone',
    path: () => '/jobs',
    heading: 'Jobs',
    open: async (page) => {
      await page.route('**/api/**', (route) => route.abort())
      // As when people come back to the tab: the console asks for everything.
      await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
    },
    shows: 'The server cannot be reached.',
    leavesTraces: true,
  },
  { title: 'the log-in', path: () => '/', heading: 'Log in', role: 'nobody' },
  { title: 'the refusal', path: () => '/', heading: "You don't have access", role: 'staff' },
]

/** The dialog of each action, from where people ask for it. */
const DIALOGS: readonly Screen[] = [
  dialog(
    'run now, with a payload',
    'greetCustomer',
    () => '/jobs/greetCustomer',
    'Run now',
    'What the job takes',
  ),
  {
    ...dialog(
      'a payload that is none',
      'Jobs',
      () => '/jobs',
      'Run now: greetCustomer',
      'not JSON',
    ),
    open: async (page) => {
      await chooseAction(page, 'greetCustomer', 'Run now')
      await page.getByLabel('Payload, as JSON').fill('{')
      await page.getByRole('dialog').getByLabel('Reason').fill('To see what is wrong')
      await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
    },
  },
  {
    ...dialog('a refusal', 'Jobs', () => '/jobs', 'Run now: greetCustomer', 'customer: '),
    open: async (page) => {
      await chooseAction(page, 'greetCustomer', 'Run now')
      await page.getByRole('dialog').getByLabel('Reason').fill('To be refused')
      await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
    },
  },
  {
    title: 'dry run',
    path: () => '/jobs/countSheep',
    heading: 'countSheep',
    open: (page) => chooseAction(page, 'countSheep', 'Dry run'),
    shows: 'Mails and calls to other services really happen',
  },
  {
    title: 'pause',
    path: () => '/jobs/countSheep',
    heading: 'countSheep',
    open: (page) => chooseAction(page, 'countSheep', 'Pause its schedule'),
    shows: 'recorded as skipped',
  },
  dialog(
    'resume',
    'pruneRows',
    () => '/jobs/pruneRows',
    'Resume the schedule',
    'continues with its next tick',
  ),
  dialog(
    'run again',
    'Run of callPartner',
    ({ failed }) => `/runs/${failed.id}`,
    'Run again',
    'A worker starts it',
  ),
  dialog(
    'cancel',
    'Run of walkSteps',
    ({ running }) => `/runs/${running.id}`,
    'Cancel',
    'Keep it running',
  ),
  dialog(
    'approve',
    'Run of pruneRows',
    ({ blocked }) => `/runs/${blocked.id}`,
    'Approve',
    'Its guard stopped it',
  ),
  {
    title: 'retry',
    path: () => '/dead-letters?name=callPartner',
    heading: 'Dead letters',
    open: (page) => chooseFirst(page, 'Retry'),
    shows: 'back into the queue',
  },
  {
    title: 'retry many',
    path: () => '/dead-letters',
    heading: 'Dead letters',
    open: press('Retry all 4'),
    shows: 'go back into the queue',
  },
  {
    title: 'the search',
    path: () => '/runs',
    heading: 'Runs',
    open: async (page) => {
      await press('Search')(page)
      await page.getByRole('combobox', { name: 'Search' }).fill('wolf')
    },
    shows: 'at howl (src/wolf.ts:3:4)',
  },
  {
    title: 'a search for nothing',
    path: () => '/runs',
    heading: 'Runs',
    open: async (page) => {
      await press('Search')(page)
      await page.getByRole('combobox', { name: 'Search' }).fill('nothing like that')
    },
    shows: 'Nothing matches',
  },
  {
    title: 'discard',
    path: () => '/dead-letters',
    heading: 'Dead letters',
    open: (page) => chooseFirst(page, 'Discard'),
    shows: 'removed for good',
  },
  {
    title: 'what can be done with waiting work',
    path: () => '/waiting',
    heading: 'Waiting',
    open: async (page) => {
      await page
        .getByRole('button', { name: /^Actions for/ })
        .first()
        .click()
      await page.getByRole('menuitem', { name: 'Postpone' }).waitFor()
    },
  },
]

/** A tooltip of each kind of mark. */
const TOOLTIPS: readonly Screen[] = [
  tooltip('of a tick', '/jobs/countSheep', 'countSheep', (page) =>
    page
      .getByRole('group', { name: /^Last 60 ticks of countSheep/ })
      .locator('[data-tip]')
      .last(),
  ),
  tooltip('of a time', '/runs', 'Runs', (page) =>
    page.getByRole('rowheader').getByRole('link').first(),
  ),
  tooltip('of a bar', '/', 'Overview', (page) =>
    page.getByRole('region', { name: 'Runs in the last day' }).locator('[data-tip]').last(),
  ),
  tooltip('of how current it is', '/queues', 'Queues', (page) => page.locator('.liveMark')),
]

const EMPTY: readonly Screen[] = [
  { title: 'overview', path: () => '/', heading: 'Overview', shows: 'No worker is running' },
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
  { title: 'queues', path: () => '/queues', heading: 'Queues', shows: 'There are no queues yet' },
  { title: 'waiting', path: () => '/waiting', heading: 'Waiting', shows: 'Nothing waits' },
  {
    title: 'dead letters',
    path: () => '/dead-letters',
    heading: 'Dead letters',
    shows: 'No dead letters',
  },
  {
    title: 'schedules of a job',
    path: () => '/jobs/gone/schedules',
    heading: 'Schedules of gone',
    shows: 'There are no schedules by key yet',
  },
  {
    title: 'a schedule',
    path: () => '/jobs/gone/schedules/nobody',
    heading: 'nobody',
    shows: 'There is no schedule with this key',
  },
  {
    title: 'workers',
    path: () => '/workers',
    heading: 'Workers',
    shows: 'No worker is running',
  },
  {
    title: 'limits',
    path: () => '/limits',
    heading: 'Limits',
    shows: 'No job has a limit over all workers',
  },
  {
    title: 'keys of a job',
    path: () => '/jobs/countSheep/keys',
    heading: 'Keys of countSheep',
    shows: 'No work has a key',
  },
  {
    title: 'a key of a job',
    path: () => '/jobs/countSheep/keys?key=x',
    heading: 'x',
    shows: 'No worker has registered keys',
  },
  {
    title: 'work',
    path: () => '/waiting/01a20e26-367c-766a-a085-72e882269712',
    heading: 'A piece of work',
    shows: 'There is no record of work',
  },
  { title: 'nothing', path: () => NOWHERE, heading: 'Nothing here' },
]

let browser: Browser
/**
 * The browsers that look at the open stack. Each loads the console and axe once and goes on as by links, because a load of
 * both takes a quarter of a second.
 */
const viewers = new Map<string, Viewer>()

beforeAll(async () => {
  browser = await openBrowser()
})

async function close(stack: ConsoleStack | undefined): Promise<void> {
  for (const { context } of viewers.values()) await context.close()
  viewers.clear()
  await stack?.close()
}

afterAll(async () => {
  await browser?.close()
})

describe('filled screens', () => {
  let stack: ConsoleStack
  let filling: Filling

  beforeAll(async () => {
    stack = await openConsoleStack()
    filling = { ...(await fillConsole(stack)), work: await fillLimits(stack) }
    await stack.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt", "label", "facts")
      select gen_random_uuid(), 'greetCustomer', 2, '{}', null, now() + interval '1 day', 'Greeting of ' || customer,
             jsonb_build_object('shown', jsonb_build_object('customer', customer))
      from generate_series(1, 30) n cross join lateral (
        select case when n < 20 then 'the Circus of the Long Names' else 'Bakery ' || n % 4 end as customer
      ) one`
  })

  afterAll(() => close(stack))

  it.each(FILLED)('keep nobody out, fit, and respect their policy: $title', async (screen) => {
    await expectSound(stack, screen, filling)
  })

  it.each(DIALOGS)('a dialog keeps nobody out: $title', async (screen) => {
    await expectSound(stack, screen, filling, OVERLAY_VIEWS)
  })

  it.each(TOOLTIPS)('a tooltip keeps nobody out: $title', async (screen) => {
    await expectSound(stack, screen, filling, OVERLAY_VIEWS)
  })
})

describe('empty screens', () => {
  let stack: ConsoleStack

  beforeAll(async () => {
    stack = await openConsoleStack({ isEmpty: true })
  })

  afterAll(() => close(stack))

  it.each(EMPTY)('keep nobody out, fit, and respect their policy: $title', async (screen) => {
    await expectSound(stack, screen)
  })
})

async function expectSound(
  stack: ConsoleStack,
  screen: Screen,
  filling?: Filling,
  views: typeof VIEWS | typeof OVERLAY_VIEWS = VIEWS,
): Promise<void> {
  const { page, complaints } = await openScreen(stack, screen, filling)
  onTestFinished(({ task }) => leave(page, screen, task.result?.state === 'pass'))
  for (const width of BETWEEN) {
    await page.setViewportSize({ width, height: 900 })
    expect(await page.evaluate(OVERFLOW_PX), `${width} px`).toBe(0)
  }
  for (const { colorScheme, width } of views) {
    const view = `${colorScheme}, ${width} px`
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme })
    if (screen.tip) await showTip(page, screen.tip(page))
    await page.evaluate(UNTIL_STILL)
    expect(await page.evaluate(OVERFLOW_PX), view).toBe(0)
    expect(await findBarriers(page), view).toEqual([])
    if (PICTURES !== undefined)
      await page.screenshot({
        path: `${PICTURES}/${screen.title.replaceAll(/\W+/g, '-')}-${width}-${colorScheme}.png`,
        fullPage: true,
      })
  }
  // A refusal is the status of an answer, which the browser repeats in its console.
  expect(complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([])
}

/** Points again: the tooltip goes away when its element moves. */
async function showTip(page: Page, target: Locator): Promise<void> {
  await page.mouse.move(0, 0)
  await target.scrollIntoViewIfNeeded()
  await page.evaluate(UNTIL_STILL)
  await target.hover()
  await page.getByRole('tooltip').waitFor()
}

async function selectAll(page: Page): Promise<void> {
  await page.getByLabel('Select all on this page').check()
}

/** Chooses in the menu of the first row. */
async function chooseFirst(page: Page, item: string): Promise<void> {
  await page
    .getByRole('button', { name: /^Actions for/ })
    .first()
    .click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

async function openScreen(
  stack: ConsoleStack,
  { path, heading, shows, role = 'admin', open }: Screen,
  filling?: Filling,
): Promise<Viewer> {
  const viewer = await findViewer(stack, role)
  const { page, complaints } = viewer
  complaints.length = 0
  await page.setViewportSize({ width: VIEWS[0].width, height: 900 })
  await page.emulateMedia({ colorScheme: VIEWS[0].colorScheme })
  await go(page, path(filling as Filling))
  await page.getByRole('heading', { name: heading, level: 1, exact: true }).waitFor()
  await open?.(page)
  if (shows !== undefined) await page.getByText(shows).first().waitFor()
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
  return viewer
}

/** Leaves a page that shows nothing, so that whoever waits for the next screen finds nothing of this one. */
async function leave(page: Page, { role, leavesTraces }: Screen, isSound: boolean): Promise<void> {
  await page.unrouteAll()
  if (role !== undefined) return
  if (leavesTraces || !isSound) await page.goto(`/console${NOWHERE}`)
  await page.mouse.move(0, 0)
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await go(page, NOWHERE)
  await page.getByRole('heading', { name: 'Nothing here' }).waitFor()
}

async function go(page: Page, path: string): Promise<void> {
  await page.evaluate(`history.pushState(null, '', ${JSON.stringify(`/console${path}`)})`)
}

async function findViewer(stack: ConsoleStack, role: NonNullable<Screen['role']>): Promise<Viewer> {
  const found = viewers.get(role)
  if (found) return found
  const viewer = await openViewer(browser, stack, {
    ...(role !== 'nobody' && { role }),
    path: NOWHERE,
    prepare: async (page) => {
      await page.addInitScript(AT_ONCE)
    },
  })
  viewers.set(role, viewer)
  return viewer
}

function press(button: string): (page: Page) => Promise<void> {
  return (page) => page.getByRole('button', { name: button, exact: true }).first().click()
}

function dialog(
  title: string,
  heading: string,
  path: Screen['path'],
  button: string,
  shows: string,
): Screen {
  return { title, heading, path, open: press(button), shows }
}

function tooltip(
  title: string,
  path: string,
  heading: string,
  tip: (page: Page) => Locator,
): Screen {
  return { title, heading, path: () => path, tip }
}
