import type { Locator, Page } from '@roundsman/testing'
import type pg from 'pg'
import { CONSOLE_JOBS } from './consoleJobs.ts'
import { checkRows, expectRuns, type ExpectedRun, type RunFilter } from './expectRuns.ts'
import { LIVING_WORKER, RARE_CODE } from '../fillRuns.ts'
import type { Facts } from './readFacts.ts'
import { watchAction, watchLoad, type Shown, type Wanted } from './watchPage.ts'

/** Somebody in front of the console of one database, who may ask that database as well. */
export interface View {
  page: Page
  client: pg.Client
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
const JOBS = ['sendMail', 'pruneRows', 'exportOrders', 'syncStock', 'sweepCarts']

const ALL = 'true'
const NONE = 'false'
const SUCCESS = `run."status" = 'success'`
const FAILED = 'run."errorCode" is not null'
const BY_ITSELF = `${FAILED} and run."errorCode" <> all(array['cancelled', 'guard_blocked', 'worker_lost', 'expired', 'drained'])`
const RUNNING = `run."id" = any(array(select unnest("runIds") from "JobClaim"))`
const TOOK = `run."endedAt" - run."startedAt"`
const named = (name: string) => `run."name" = '${name}'`
const failedAs = (code: string) => `run."errorCode" = '${code}'`
const labelled = (label: string) => `run."label" = '${label}'`
const before = (at: string) => `run."startedAt" < '${at}'::timestamptz`

/** What is asked of each choice, and which runs it is to show. */
const OUTCOMES: Readonly<Record<string, readonly [query: string, runs: string]>> = {
  Success: ['outcome=success', SUCCESS],
  Failed: ['outcome=failed', BY_ITSELF],
  Cancelled: ['outcome=cancelled', failedAs('cancelled')],
  Blocked: ['outcome=blocked', failedAs('guard_blocked')],
  'Worker lost': ['outcome=lost', failedAs('worker_lost')],
  'Given back': ['outcome=givenBack', failedAs('drained')],
  Running: ['outcome=running', RUNNING],
  'Any but success': ['status=failed', FAILED],
}

/** What is written into which field, what that asks, and which runs it is to show. */
const listWritten = (
  facts: Facts,
): readonly (readonly [string, string, string, string, RunFilter])[] => [
  ...['shop_unavailable', RARE_CODE, 'never_thrown'].map(
    (code) =>
      [`error code: ${code}`, 'Error code', code, `errorCode=${code}`, failedAs(code)] as const,
  ),
  ['label of several runs', 'Label', facts.customer, '', labelled(facts.customer)],
  ['label of one run, long ago', 'Label', facts.oldInvoice, '', labelled(facts.oldInvoice)],
  [
    ...(['part of labels', 'Label', facts.partOfLabel, ''] as const),
    { looked: `strpos(lower(run."label"), lower('${facts.partOfLabel}')) > 0` },
  ],
  ['label that no run has', 'Label', 'nothing like that', '', NONE],
  [
    ...(['worker', 'Worker', LIVING_WORKER, `worker=${LIVING_WORKER}`] as const),
    { looked: `starts_with(run."workerId", '${LIVING_WORKER}')` },
  ],
  ['worker that never was', 'Worker', 'nobody', 'worker=nobody', NONE],
  [
    ...(['took 30 s or longer', 'Took at least', '30 s', 'minDurationMs=30000'] as const),
    { looked: `coalesce(run."endedAt", now()) - run."startedAt" >= interval '30 s'` },
  ],
  ['took 2 h or longer (none)', 'Took at least', '2 h', 'minDurationMs=7200000', NONE],
  [
    ...(['took 10 ms at most', 'Took at most', '10 ms', 'maxDurationMs=10'] as const),
    { looked: `${TOOK} <= interval '10 ms'` },
  ],
  [
    ...(['up to an instant half-way back', 'To'] as const),
    ...([facts.middle.slice(0, 16).replace('T', ' '), '', before(facts.middle)] as const),
  ],
]

/** Lists narrowed by their address, and which runs each is to show. */
const listCombined = (facts: Facts): readonly (readonly [string, string, RunFilter])[] => [
  [
    'a job and any but success',
    'name=sendMail&status=failed',
    `${named('sendMail')} and ${FAILED}`,
  ],
  [
    'a job of long ago and failed',
    'name=exportOrders&outcome=failed',
    `${named('exportOrders')} and ${BY_ITSELF}`,
  ],
  [
    'a job of long ago and success',
    'name=exportOrders&outcome=success',
    `${named('exportOrders')} and ${SUCCESS}`,
  ],
  ['a job and a trigger that it never had', 'name=sendMail&trigger=schedule', NONE],
  [
    'a job and a rare code',
    `name=renderInvoice&errorCode=${RARE_CODE}`,
    `${named('renderInvoice')} and ${failedAs(RARE_CODE)}`,
  ],
  [
    'a code and a trigger',
    'errorCode=timeout&trigger=manual',
    `${failedAs('timeout')} and run."trigger" = 'manual'`,
  ],
  [
    'a label and any but success',
    `label=${facts.customer}&status=failed`,
    `${labelled(facts.customer)} and ${FAILED}`,
  ],
  [
    'a job of long ago and its duration',
    'name=exportOrders&minDurationMs=30000',
    { where: named('exportOrders'), looked: `${TOOK} >= interval '30 s'` },
  ],
  [
    'failed, within an hour half-way back',
    `outcome=failed&from=${facts.middle}&to=${facts.afterMiddle}`,
    `${BY_ITSELF} and not ${before(facts.middle)} and ${before(facts.afterMiddle)}`,
  ],
]

/** What is typed into the search, and what it is to find. */
const listSearches = (facts: Facts): readonly (readonly [string, string, readonly string[]])[] => [
  ['label', facts.customer, [facts.customer]],
  ['label of one run, long ago', facts.oldInvoice, [facts.oldInvoice]],
  ['the id of a run, long ago', facts.oldRun.id, [facts.oldRun.id]],
  ['the beginning of the id of a run', facts.failed.id.slice(0, 13), [facts.failed.id]],
  ['an error’s text', 'answered with status 503', ['shop_unavailable']],
  ['an error’s code', 'handler_fail', ['handler_failed', 'fetch failed']],
  ['a worker', LIVING_WORKER.slice(0, 12), [LIVING_WORKER]],
  ['nothing like that', 'nothing like that', ['Nothing matches']],
]

/** Addresses of screens, and what each is to say. */
const listScreens = (facts: Facts): readonly (readonly [string, string, readonly string[]])[] => [
  ['jobs', 'jobs', CONSOLE_JOBS.map(({ job }) => job.name)],
  ...JOBS.map((name) => [`job page: ${name}`, `jobs/${name}`, [name, 'Policies']] as const),
  [
    'run page, failed',
    `runs/${facts.failed.id}`,
    [
      ...[facts.failed.id, 'TypeError', 'ECONNREFUSED', 'importFeed.ts:76'],
      ...['reading the feed', 'Timeline'],
    ],
  ],
  [
    'run page, long ago',
    `runs/${facts.oldRun.id}`,
    [facts.oldRun.id, facts.oldRun.name, 'Timeline'],
  ],
  // What waits is counted up to a limit.
  [
    'queue',
    'queue',
    [' waiting', `${facts.deadLetters} dead letters`, 'customer 1', 'order_invalid'],
  ],
  ['queue, waiting work of a job', 'queue?work=renderInvoice', ['customer 4']],
  ['queue, waiting work with a label', `queue?label=${facts.waitingLabel}`, [facts.waitingLabel]],
  ['queue, a label that none waits with', 'queue?label=nothing', ['No waiting work matches']],
  ['queue, dead letters of a job', 'queue?name=syncOrder', ['syncOrder']],
  ['queue, dead letters of a rare code', `queue?errorCode=${RARE_CODE}`, [RARE_CODE]],
  ['workers', 'workers', ['worker-1', 'b1946ac92492']],
  ['worker page', `workers/${LIVING_WORKER}`, ['worker-1', 'Last runs that ended', '4711']],
  [
    'worker page, long ago',
    `workers/${facts.oldRun.workerId}?at=${facts.oldRun.startedAt}`,
    ['Stopped, or killed more than a day ago', 'Last runs that ended'],
  ],
]

/** All that somebody does, with what this database holds. It is the same for each database. */
export function listSteps(facts: Facts): Step[] {
  return [
    load('all runs', '', ALL, 'screen'),
    ...JOBS.map((name) => filter(`job: ${name}`, choose('Job', name), `name=${name}`, named(name))),
    ...Object.entries(OUTCOMES).map(([option, [query, runs]]) =>
      filter(`outcome: ${option.toLowerCase()}`, choose('Outcome', option), query, runs),
    ),
    ...['schedule', 'queue', 'manual', 'cli'].map((trigger) =>
      filter(
        `trigger: ${trigger}`,
        choose('Trigger', trigger),
        `trigger=${trigger}`,
        `run."trigger" = '${trigger}'`,
      ),
    ),
    ...listWritten(facts).map(([what, label, text, query, runs]) =>
      filter(what, write(label, text), query, runs),
    ),
    filter('the last hour', press('Started within the last hour'), '', ALL),
    ...listCombined(facts).map(([what, query, runs]) => load(what, query, runs, 'combined')),
    pages('pages 2 to 20 of all runs', '', ALL),
    back('a page back, by Newer and by the browser'),
    pages('pages 2 to 20 of any but success', 'status=failed', FAILED),
    pages('pages 2 to 20 of a job of long ago', 'name=exportOrders', named('exportOrders')),
    { what: 'the palette, by its keys', kind: 'search', measure: openPalette },
    ...listSearches(facts).map(([what, text, texts]) => search(what, text, texts)),
    {
      what: 'from the search to a run of long ago',
      kind: 'search',
      measure: (view) => goFromSearch(view, facts.oldRun),
    },
    {
      what: 'overview',
      kind: 'screen',
      async measure({ page, client }) {
        const texts = ['Next runs', `${await countEnded(client)} ended`]
        return await watchLoad(page, '/console/', { texts })
      },
    },
    ...listScreens(facts).map(([what, path, texts]): Step => ({
      what,
      kind: 'screen',
      measure: ({ page }) => watchLoad(page, encodeURI(`/console/${path}`), { texts }),
    })),
  ]
}

/** Narrows the list by what stands above it. */
function filter(
  what: string,
  act: (form: Locator) => Promise<unknown>,
  query: string,
  runs: RunFilter,
): Step {
  return {
    what,
    kind: 'filter',
    async measure(view) {
      await goToRuns(view)
      const expected = await expectPage(view, what, runs)
      const form = view.page.getByRole('form', { name: 'Filter runs' })
      const shown = await watchAction(view.page, () => act(form), {
        ids: expected.map(({ id }) => id),
        answer: { path: LIST, query: Object.fromEntries(new URLSearchParams(query)) },
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
function write(label: string, text: string) {
  return async (form: Locator) => {
    const field = form.getByLabel(label, { exact: true })
    await field.fill(text)
    await field.press('Enter')
  }
}

function press(name: string) {
  return (form: Locator) => form.getByRole('button', { name }).click()
}

/** The list from its address, as a link leads to it. */
function load(what: string, query: string, runs: RunFilter, kind: StepKind): Step {
  return {
    what,
    kind,
    async measure(view) {
      const expected = await expectPage(view, what, runs)
      const ids = expected.map(({ id }) => id)
      const shown = await watchLoad(view.page, encodeURI(`${RUNS}?${query}`), { ids })
      checkRows(expected, shown.rows)
      return shown
    },
  }
}

/** From each page to the next; the slowest of them. */
function pages(what: string, query: string, runs: RunFilter): Step {
  return {
    what,
    kind: 'page',
    async measure(view) {
      const all = await expectPage(view, what, runs, PAGES * PAGE)
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
      const all = await expectPage(view, what, ALL, PAGES * PAGE)
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

async function openPalette(view: View): Promise<Shown> {
  await goToRuns(view)
  const open = () => view.page.keyboard.press('Control+k')
  const texts = ['Overview', 'Failed runs', 'sendMail']
  const shown = await watchAction(view.page, open, { within: 'dialog', texts })
  await closeDialog(view.page)
  return shown
}

function search(what: string, text: string, texts: readonly string[]): Step {
  return {
    what: `search: ${what}`,
    kind: 'search',
    async measure(view) {
      await openSearch(view)
      const box = view.page.getByRole('combobox', { name: 'Search' })
      const answer = { path: '/api/console/search', query: { q: text } }
      const wanted: Wanted = { within: 'dialog', texts, answer }
      const shown = await watchAction(view.page, () => box.fill(text), wanted)
      await closeDialog(view.page)
      return shown
    },
  }
}

async function goFromSearch(view: View, { id, name }: Facts['oldRun']): Promise<Shown> {
  await openSearch(view)
  const { page } = view
  await page.getByRole('combobox', { name: 'Search' }).fill(id)
  await page.getByRole('option').filter({ hasText: id }).waitFor()
  return await watchAction(page, () => page.keyboard.press('Enter'), {
    answer: { path: `${LIST}/${id}` },
    texts: [id, name, 'Timeline'],
  })
}

async function expectPage(
  { client, known }: View,
  what: string,
  runs: RunFilter,
  limit = PAGE,
): Promise<ExpectedRun[]> {
  const expected = known.get(what) ?? (await expectRuns(client, runs, limit))
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
  const newest = await expectPage(view, 'newest', ALL)
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
