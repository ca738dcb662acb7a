import type { Page } from '@roundsman/testing'

/** A screen of the console, and what is there once it has its data. */
export interface Shot {
  title: string
  file: string
  /** Below /console. */
  path: string
  shows: string
  /** Goes to what has no address of its own. */
  open?: (page: Page) => Promise<void>
  /** What is in sight once it has scrolled, instead of the page from its top. */
  isScrolled?: boolean
  /** Nobody is logged in. */
  isOutside?: boolean
}

/** Each screen, of a stack with the jobs of the demo. */
export const FILLED: readonly Shot[] = [
  { title: 'Overview', file: 'overview', path: '', shows: 'Next runs' },
  { title: 'Jobs', file: 'jobs', path: 'jobs', shows: 'demoArchiveOrders' },
  { title: 'A job with a schedule', file: 'job', path: 'jobs/demoImportFeed', shows: 'Policies' },
  { title: 'A job of a queue', file: 'job-queued', path: 'jobs/demoSyncOrder', shows: 'Policies' },
  { title: 'Runs', file: 'runs', path: 'runs', shows: 'demoSyncOrder' },
  {
    title: 'Runs, filtered',
    file: 'runs-filtered',
    path: 'runs?name=demoImportFeed&outcome=failed&minDurationMs=300',
    shows: 'ECONNREFUSED',
    open: unfoldFilters,
  },
  {
    title: 'A run that failed, with its stack',
    file: 'run-failed',
    path: 'runs?name=demoImportFeed&outcome=failed',
    shows: 'Timeline',
    open: async (page) => {
      await openFirstRow(page)
      await page.locator('details.stack summary').click()
    },
  },
  {
    title: 'A run in batches',
    file: 'run',
    path: 'runs?name=demoRebuildSearch&outcome=success',
    shows: 'Timeline',
    open: openFirstRow,
  },
  {
    title: 'A run that its guard has blocked',
    file: 'run-blocked',
    path: 'runs?name=demoArchiveOrders&outcome=blocked',
    shows: 'Timeline',
    open: openFirstRow,
  },
  {
    title: 'Limits, and who holds their slots',
    file: 'limits',
    path: 'limits',
    shows: 'demoFeedServer',
  },
  {
    title: 'The keys of a job',
    file: 'keys',
    path: 'jobs/demoImportCatalogue/keys',
    shows: 'tenant-initech',
  },
  {
    title: 'A key',
    file: 'key',
    path: 'jobs/demoImportCatalogue/keys?key=tenant-acme',
    shows: 'Last runs',
  },
  {
    title: 'Why a piece of work waits',
    file: 'work',
    path: 'queue?work=demoImportCatalogue&key=tenant-initech',
    shows: 'Why it waits',
    open: async (page) => {
      await page
        .getByRole('link', { name: 'Why this work of demoImportCatalogue waits' })
        .first()
        .click()
    },
  },
  { title: 'The queue', file: 'queue', path: 'queue', shows: 'demoSyncOrder' },
  {
    title: 'Waiting work',
    file: 'waiting-work',
    path: 'queue?work=demoSyncOrder',
    shows: 'Waiting work',
    open: scrollTo('Waiting work'),
    isScrolled: true,
  },
  {
    title: 'Dead letters',
    file: 'dead-letters',
    path: 'queue?name=demoSyncOrder',
    shows: 'Dead letters',
    open: scrollTo('Dead letters'),
    isScrolled: true,
  },
  {
    title: 'Why a piece of work waits',
    file: 'work',
    path: 'queue?work=demoSyncOrder',
    shows: 'Why it waits',
    open: (page) =>
      page.getByRole('link', { name: 'Why this work of demoSyncOrder waits' }).first().click(),
  },
  {
    title: 'Schedules of customers',
    file: 'schedules',
    path: 'jobs/sendWeeklyReport/schedules',
    shows: 'Asia/Tokyo',
  },
  {
    title: 'The schedule of a customer',
    file: 'schedule',
    path: 'jobs/sendWeeklyReport/schedules',
    shows: 'Missed ticks',
    open: (page) => page.getByRole('table').getByRole('link').first().click(),
  },
  { title: 'Workers', file: 'workers', path: 'workers', shows: 'Runs now' },
  {
    title: 'A worker',
    file: 'worker',
    path: 'workers',
    shows: 'Last runs that ended',
    open: openFirstWorker,
  },
  {
    title: 'The search',
    file: 'search',
    path: 'runs',
    shows: 'Errors',
    open: searchFor('order'),
  },
  {
    title: 'Asking for a run',
    file: 'run-now',
    path: 'jobs/demoSyncOrder',
    shows: 'Recorded with your name',
    open: (page) => page.getByRole('button', { name: 'Run now: demoSyncOrder' }).click(),
  },
  {
    title: 'Retrying many',
    file: 'redrive-many',
    path: 'queue?name=demoSyncOrder',
    shows: 'Working…',
    open: async (page) => {
      // Held, so that it is under way; it is given up with the page.
      await page.route('**/jobs/bulk', () => undefined)
      // Not those of waiting work, which workers take meanwhile.
      const letters = page.getByRole('table', { name: 'Dead letters' })
      const boxes = letters.locator('[data-row-check]')
      await boxes.first().waitFor()
      for (const box of await boxes.all()) await box.check()
      await page.getByRole('button', { name: /^Retry \d+$/ }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Reason').fill('The shop is back')
      await dialog.getByRole('button', { name: /^Retry/ }).click()
    },
  },
  { title: 'The log-in', file: 'log-in', path: '', shows: 'Password', isOutside: true },
]

/** What has something else to say where nothing has run yet; of a stack without the jobs of the demo. */
export const EMPTY: readonly Shot[] = [
  like('overview'),
  like('jobs', { shows: 'dispatchEmail' }),
  like('job', { title: 'A job', path: 'jobs/dispatchEmail' }),
  like('runs', { shows: 'Nothing has run yet' }),
  like('runs-filtered', { path: 'runs?outcome=failed', shows: 'No runs match' }),
  like('queue', { shows: 'No dead letters' }),
  like('schedules', { shows: 'There are no schedules by key yet' }),
  like('worker'),
  like('search', { shows: 'Nothing matches', open: searchFor('nothing like that') }),
]

function like(file: string, changes: Partial<Shot> = {}): Shot {
  const shot = FILLED.find((one) => one.file === file)
  if (shot === undefined) throw new Error(`There is no picture ${file}`)
  return { ...shot, ...changes }
}

async function openFirstRow(page: Page): Promise<void> {
  await page.locator('a[data-row-link]').first().click()
}

async function openFirstWorker(page: Page): Promise<void> {
  await page.getByRole('table', { name: 'Workers' }).getByRole('link').first().click()
}

function searchFor(text: string) {
  return async (page: Page) => {
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('combobox', { name: 'Search' }).fill(text)
  }
}

/** They are folded where the screen is narrow. */
async function unfoldFilters(page: Page): Promise<void> {
  const fold = page.getByRole('button', { name: /^Filter \(/ })
  if (await fold.isVisible()) await fold.click()
}

function scrollTo(title: string) {
  return async (page: Page) => {
    await page.getByRole('heading', { name: title }).scrollIntoViewIfNeeded()
  }
}
