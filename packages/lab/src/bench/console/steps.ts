import type { Locator, Page } from '@roundsman/testing'
import type pg from 'pg'
import { CONSOLE_JOBS } from './consoleJobs.ts'
import { checkRows, expectRuns, type ExpectedRun, type RunFilter } from './expectRuns.ts'
import { LIVING_WORKER, RARE_CODE } from './fillHistory.ts'
import type { Facts } from './readFacts.ts'
import { watchAction, watchLoad, type Shown, type Wanted } from './watchPage.ts'

/** Somebody in front of the console of one database, who may ask that database as well. */
export interface View {
  page: Page
  client: pg.Client
  facts: Facts
  /** What plain SQL has found for a step, which stays so. */
  known: Map<string, ExpectedRun[]>
}

export const KINDS = ['filter', 'combined', 'page', 'search', 'screen'] as const
export type StepKind = (typeof KINDS)[number]

/** One thing that somebody does. It throws where anything else is shown than the database holds. */
export interface Step {
  what: string
  kind: StepKind
  measure(view: View): Promise<Shown>
}

const PAGE = 50
const PAGES = 20
const RUNS = '/console/runs'
const LIST = '/api/jobs/runs'

const NEWEST: RunFilter = {}
const named = (name: string): RunFilter => ({ where: 'run."name" = $1', values: [name] })
const failedAs = (code: string): RunFilter => ({ where: 'run."errorCode" = $1', values: [code] })
const triggered = (trigger: string): RunFilter => ({
  where: 'run."trigger"::text = $1',
  values: [trigger],
})
const BY_ITSELF = `run."errorCode" is not null and run."errorCode" <> all(array['cancelled', 'guard_blocked', 'worker_lost', 'expired', 'drained'])`
const TOOK = `run."endedAt" - run."startedAt"`

export const STEPS: readonly Step[] = [
  load('all runs', '', () => NEWEST),
  ...['sendMail', 'pruneRows', 'exportOrders', 'syncStock', 'sweepCarts'].map((name) =>
    filter(`job: ${name}`, choose('Job', name), { name }, () => named(name)),
  ),
  filter('outcome: success', choose('Outcome', 'Success'), { outcome: 'success' }, () => ({
    where: `run."status" = 'success'`,
  })),
  filter('outcome: failed', choose('Outcome', 'Failed'), { outcome: 'failed' }, () => ({
    where: BY_ITSELF,
  })),
  filter('outcome: cancelled', choose('Outcome', 'Cancelled'), { outcome: 'cancelled' }, () =>
    failedAs('cancelled'),
  ),
  filter('outcome: blocked', choose('Outcome', 'Blocked'), { outcome: 'blocked' }, () =>
    failedAs('guard_blocked'),
  ),
  filter('outcome: worker lost', choose('Outcome', 'Worker lost'), { outcome: 'lost' }, () =>
    failedAs('worker_lost'),
  ),
  filter(
    'outcome: given back (none)',
    choose('Outcome', 'Given back'),
    { outcome: 'givenBack' },
    () => failedAs('drained'),
  ),
  filter('outcome: running', choose('Outcome', 'Running'), { outcome: 'running' }, () => ({
    where: `run."id" = any(array(select unnest("runIds") from "JobClaim"))`,
  })),
  filter(
    'outcome: any but success',
    choose('Outcome', 'Any but success'),
    { status: 'failed' },
    () => ({
      where: 'run."errorCode" is not null',
    }),
  ),
  ...['shop_unavailable', RARE_CODE, 'never_thrown'].map((code) =>
    filter(
      `error code: ${code}`,
      write('Error code', () => code),
      { errorCode: code },
      () => failedAs(code),
    ),
  ),
  filter(
    'label of several runs',
    write('Label', ({ customer }) => customer),
    {},
    ({ customer }) => ({
      where: 'run."label" = $1',
      values: [customer],
    }),
  ),
  filter(
    'label of one run, long ago',
    write('Label', ({ oldInvoice }) => oldInvoice),
    {},
    ({ oldInvoice }) => ({
      where: 'run."label" = $1',
      values: [oldInvoice],
    }),
  ),
  filter(
    'part of labels',
    write('Label', ({ partOfLabel }) => partOfLabel),
    {},
    ({ partOfLabel }) => ({
      looked: 'strpos(lower(run."label"), lower($1)) > 0',
      values: [partOfLabel],
    }),
  ),
  filter(
    'label that no run has',
    write('Label', () => 'nothing like that'),
    {},
    () => ({
      where: 'false',
    }),
  ),
  filter(
    'worker',
    write('Worker', () => LIVING_WORKER),
    { worker: LIVING_WORKER },
    () => ({
      looked: 'starts_with(run."workerId", $1)',
      values: [LIVING_WORKER],
    }),
  ),
  filter(
    'worker that never was',
    write('Worker', () => 'nobody'),
    { worker: 'nobody' },
    () => ({
      where: 'false',
    }),
  ),
  ...['schedule', 'queue', 'manual', 'cli'].map((trigger) =>
    filter(`trigger: ${trigger}`, choose('Trigger', trigger), { trigger }, () =>
      triggered(trigger),
    ),
  ),
  filter(
    'took 30 s or longer',
    write('Took at least', () => '30 s'),
    { minDurationMs: '30000' },
    () => ({
      looked: `coalesce(run."endedAt", now()) - run."startedAt" >= interval '30 s'`,
    }),
  ),
  filter(
    'took 2 h or longer (none)',
    write('Took at least', () => '2 h'),
    { minDurationMs: '7200000' },
    () => ({
      where: 'false',
    }),
  ),
  filter(
    'took 10 ms at most',
    write('Took at most', () => '10 ms'),
    { maxDurationMs: '10' },
    () => ({
      looked: `${TOOK} <= interval '10 ms'`,
    }),
  ),
  filter('the last hour', press('Started within the last hour'), {}, () => NEWEST),
  filter(
    'up to an instant half-way back',
    write('To', ({ middle }) => middle.slice(0, 16).replace('T', ' ')),
    {},
    ({ middle }) => ({
      where: 'run."startedAt" < $1::timestamptz',
      values: [middle],
    }),
  ),

  load('a job and any but success', 'name=sendMail&status=failed', () => ({
    where: `run."name" = 'sendMail' and run."errorCode" is not null`,
  })),
  load('a job of long ago and failed', 'name=exportOrders&outcome=failed', () => ({
    where: `run."name" = 'exportOrders' and ${BY_ITSELF}`,
  })),
  load('a job of long ago and success', 'name=exportOrders&outcome=success', () => ({
    where: `run."name" = 'exportOrders' and run."status" = 'success'`,
  })),
  load('a job and a trigger that it never had', 'name=sendMail&trigger=schedule', () => ({
    where: 'false',
  })),
  load('a job and a rare code', `name=renderInvoice&errorCode=${RARE_CODE}`, () => ({
    where: `run."name" = 'renderInvoice' and run."errorCode" = '${RARE_CODE}'`,
  })),
  load('a code and a trigger', 'errorCode=timeout&trigger=manual', () => ({
    where: `run."errorCode" = 'timeout' and run."trigger" = 'manual'`,
  })),
  load(
    'a label and any but success',
    ({ customer }) => `label=${customer}&status=failed`,
    ({ customer }) => ({
      where: 'run."label" = $1 and run."errorCode" is not null',
      values: [customer],
    }),
  ),
  load('a job of long ago and its duration', 'name=exportOrders&minDurationMs=30000', () => ({
    where: `run."name" = 'exportOrders'`,
    looked: `${TOOK} >= interval '30 s'`,
  })),
  load(
    'failed, within an hour half-way back',
    ({ middle, afterMiddle }) => `outcome=failed&from=${middle}&to=${afterMiddle}`,
    ({ middle, afterMiddle }) => ({
      where: `${BY_ITSELF} and run."startedAt" >= $1::timestamptz and run."startedAt" < $2::timestamptz`,
      values: [middle, afterMiddle],
    }),
  ),

  pages('pages 2 to 20 of all runs', '', () => NEWEST),
  back('a page back, by Newer and by the browser'),
  pages('pages 2 to 20 of any but success', 'status=failed', () => ({
    where: 'run."errorCode" is not null',
  })),
  pages('pages 2 to 20 of a job of long ago', 'name=exportOrders', () => named('exportOrders')),

  {
    what: 'the palette, by its keys',
    kind: 'search',
    async measure(view) {
      await goToRuns(view)
      const open = () => view.page.keyboard.press('Control+k')
      const shown = await watchAction(view.page, open, {
        within: 'dialog',
        texts: ['Overview', 'Failed runs', 'sendMail'],
      })
      await closeDialog(view.page)
      return shown
    },
  },
  search(
    'label',
    ({ customer }) => customer,
    ({ customer }) => [customer],
  ),
  search(
    'label of one run, long ago',
    ({ oldInvoice }) => oldInvoice,
    ({ oldInvoice }) => [oldInvoice],
  ),
  search(
    'the id of a run, long ago',
    ({ oldRun }) => oldRun.id,
    ({ oldRun }) => [oldRun.id],
  ),
  search(
    'the beginning of the id of a run',
    ({ failed }) => failed.id.slice(0, 13),
    ({ failed }) => [failed.id],
  ),
  search(
    'an error’s text',
    () => 'answered with status 503',
    () => ['shop_unavailable'],
  ),
  search(
    'an error’s code',
    () => 'handler_fail',
    () => ['handler_failed', 'fetch failed'],
  ),
  search(
    'a worker',
    () => LIVING_WORKER.slice(0, 12),
    () => [LIVING_WORKER],
  ),
  search(
    'nothing like that',
    () => 'nothing like that',
    () => ['Nothing matches'],
  ),
  {
    what: 'from the search to a run of long ago',
    kind: 'search',
    async measure(view) {
      const { page, facts } = view
      await openSearch(view)
      await page.getByRole('combobox', { name: 'Search' }).fill(facts.oldRun.id)
      await page.getByRole('option').filter({ hasText: facts.oldRun.id }).waitFor()
      return await watchAction(page, () => page.keyboard.press('Enter'), {
        answer: { path: `/api/jobs/runs/${facts.oldRun.id}` },
        texts: [facts.oldRun.id, facts.oldRun.name, 'Timeline'],
      })
    },
  },

  screen(
    'overview',
    () => '',
    async ({ client }) => ['Next ticks', `${await countEnded(client)} ended`],
  ),
  screen(
    'jobs',
    () => 'jobs',
    async () => CONSOLE_JOBS.map(({ job }) => job.name),
  ),
  ...['sendMail', 'pruneRows', 'exportOrders', 'syncStock', 'sweepCarts'].map((name) =>
    screen(
      `job page: ${name}`,
      () => `jobs/${name}`,
      async () => [name, 'Policies'],
    ),
  ),
  screen(
    'run page, failed',
    ({ failed }) => `runs/${failed.id}`,
    async ({ facts: { failed } }) => [
      failed.id,
      'TypeError',
      'ECONNREFUSED',
      'importFeed.ts:76',
      'reading the feed',
      'Timeline',
    ],
  ),
  screen(
    'run page, long ago',
    ({ oldRun }) => `runs/${oldRun.id}`,
    async ({ facts: { oldRun } }) => [oldRun.id, oldRun.name, 'Timeline'],
  ),
  screen(
    'queue',
    () => 'queue',
    async ({ facts }) => [
      // Counted up to a limit.
      ' waiting',
      `${facts.deadLetters} dead letters`,
      'customer 1',
      'order_invalid',
    ],
  ),
  screen(
    'queue, waiting work of a job',
    () => 'queue?work=renderInvoice',
    async () => ['customer 4'],
  ),
  screen(
    'queue, waiting work with a label',
    ({ waitingLabel }) => `queue?label=${waitingLabel}`,
    async ({ facts }) => [facts.waitingLabel],
  ),
  screen(
    'queue, a label that none waits with',
    () => 'queue?label=nothing',
    async () => ['No waiting work matches'],
  ),
  screen(
    'queue, dead letters of a job',
    () => 'queue?name=syncOrder',
    async () => ['syncOrder'],
  ),
  screen(
    'queue, dead letters of a rare code',
    () => `queue?errorCode=${RARE_CODE}`,
    async () => [RARE_CODE],
  ),
  screen(
    'workers',
    () => 'workers',
    async () => ['worker-1', 'b1946ac92492'],
  ),
  screen(
    'worker page',
    () => `workers/${LIVING_WORKER}`,
    async () => ['worker-1', 'Last runs that ended', '4711'],
  ),
  screen(
    'worker page, long ago',
    ({ oldRun }) => `workers/${oldRun.workerId}?at=${oldRun.startedAt}`,
    async () => ['Stopped, or killed more than a day ago', 'Last runs that ended'],
  ),
]

/** Narrows the list by what stands above it. */
function filter(
  what: string,
  act: (form: Locator, facts: Facts) => Promise<unknown>,
  query: Readonly<Record<string, string>>,
  runsOf: (facts: Facts) => RunFilter,
): Step {
  return {
    what,
    kind: 'filter',
    async measure(view) {
      await goToRuns(view)
      const expected = await expectPage(view, what, runsOf)
      const form = view.page.getByRole('form', { name: 'Filter runs' })
      const shown = await watchAction(view.page, () => act(form, view.facts), {
        ids: expected.map(({ id }) => id),
        answer: { path: LIST, query },
      })
      checkRows(expected, shown.rows)
      return shown
    },
  }
}

function choose(label: string, option: string) {
  return (form: Locator) => form.getByLabel(label, { exact: true }).selectOption({ label: option })
}

/** Typed, and Enter: without it, what is typed takes effect a moment later. */
function write(label: string, textOf: (facts: Facts) => string) {
  return async (form: Locator, facts: Facts) => {
    const field = form.getByLabel(label, { exact: true })
    await field.fill(textOf(facts))
    await field.press('Enter')
  }
}

function press(name: string) {
  return (form: Locator) => form.getByRole('button', { name }).click()
}

/** The list from its address, as a link leads to it. */
function load(
  what: string,
  query: string | ((facts: Facts) => string),
  runsOf: (facts: Facts) => RunFilter,
): Step {
  return {
    what,
    kind: what === 'all runs' ? 'screen' : 'combined',
    async measure(view) {
      const expected = await expectPage(view, what, runsOf)
      const text = typeof query === 'string' ? query : query(view.facts)
      const shown = await watchLoad(view.page, encodeURI(`${RUNS}?${text}`), {
        ids: expected.map(({ id }) => id),
      })
      checkRows(expected, shown.rows)
      return shown
    },
  }
}

/** From each page to the next; the slowest of them. */
function pages(what: string, query: string, runsOf: (facts: Facts) => RunFilter): Step {
  return {
    what,
    kind: 'page',
    async measure(view) {
      const all = await expectPage(view, what, runsOf, PAGES * PAGE)
      await watchLoad(view.page, `${RUNS}?${query}`, wantedPage(all, 0))
      const shown: Shown[] = []
      for (let page = 1; all.length > page * PAGE; page++) {
        const older = view.page.getByRole('link', { name: 'Older', exact: true })
        shown.push(await watchAction(view.page, () => older.click(), wantedPage(all, page)))
        checkRows(all.slice(page * PAGE, (page + 1) * PAGE), shown.at(-1)?.rows ?? [])
      }
      return slowest(shown)
    },
  }
}

/** From the third page to the second, the third and the second again; the slowest of them. */
function back(what: string): Step {
  return {
    what,
    kind: 'page',
    async measure(view) {
      const { page } = view
      const all = await expectPage(view, what, () => NEWEST, PAGES * PAGE)
      const link = (name: string) => page.getByRole('link', { name, exact: true })
      const goBack = () => page.evaluate('history.back()')
      await watchLoad(page, RUNS, wantedPage(all, 0))
      for (const at of [1, 2]) {
        await watchAction(page, () => link('Older').click(), wantedPage(all, at))
      }
      const shown = [await watchAction(page, () => link('Newer').click(), wantedPage(all, 1))]
      for (const at of [2, 1]) shown.push(await watchAction(page, goBack, wantedPage(all, at)))
      return slowest(shown)
    },
  }
}

function wantedPage(all: readonly ExpectedRun[], page: number): Wanted {
  return { ids: all.slice(page * PAGE, (page + 1) * PAGE).map(({ id }) => id) }
}

function slowest(shown: readonly Shown[]): Shown {
  const [first] = shown.toSorted((one, other) => other.shownMs - one.shownMs)
  if (first === undefined) throw new Error('There is no second page')
  return first
}

function search(
  what: string,
  textOf: (facts: Facts) => string,
  textsOf: (facts: Facts) => string[],
): Step {
  return {
    what: `search: ${what}`,
    kind: 'search',
    async measure(view) {
      await openSearch(view)
      const text = textOf(view.facts)
      const box = view.page.getByRole('combobox', { name: 'Search' })
      const shown = await watchAction(view.page, () => box.fill(text), {
        within: 'dialog',
        texts: textsOf(view.facts),
        answer: { path: '/api/console/search', query: { q: text } },
      })
      await closeDialog(view.page)
      return shown
    },
  }
}

function screen(
  what: string,
  pathOf: (facts: Facts) => string,
  textsOf: (view: View) => Promise<string[]>,
): Step {
  return {
    what,
    kind: 'screen',
    async measure(view) {
      const texts = await textsOf(view)
      return await watchLoad(view.page, encodeURI(`/console/${pathOf(view.facts)}`), { texts })
    },
  }
}

async function expectPage(
  { client, facts, known }: View,
  what: string,
  runsOf: (facts: Facts) => RunFilter,
  limit = PAGE,
): Promise<ExpectedRun[]> {
  const expected = known.get(what) ?? (await expectRuns(client, runsOf(facts), { limit }))
  known.set(what, expected)
  return expected
}

/** In the hour that began a day ago and since, as the console writes it. */
async function countEnded(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as "count" from "JobRun"
     where "startedAt" >= date_trunc('hour', now(), 'UTC') - interval '24 hours' and "endedAt" is not null`,
  )
  return (rows[0]?.count ?? 0).toLocaleString('en')
}

/** The list of all runs, with all filters in sight. */
async function goToRuns(view: View): Promise<void> {
  const { page } = view
  const { pathname, search: query } = new URL(page.url())
  const newest = await expectPage(view, 'newest', () => NEWEST)
  const ids = newest.map(({ id }) => id)
  if (pathname !== RUNS) await watchLoad(page, RUNS, { ids })
  else if (query !== '') {
    const link = page.getByRole('banner').getByRole('link', { name: 'Runs', exact: true })
    await watchAction(page, () => link.click(), { ids })
  }
  const more = page.getByRole('button', { name: 'More filters', expanded: false })
  if (await more.isVisible()) await more.click()
}

async function openSearch(view: View): Promise<void> {
  await goToRuns(view)
  const { page } = view
  await page.evaluate('document.activeElement?.blur()')
  await page.keyboard.press('/')
  await page.getByRole('combobox', { name: 'Search' }).waitFor()
}

async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}
