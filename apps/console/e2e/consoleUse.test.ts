// Not quick: starts processes.
import { openBrowser, type Browser, type Locator, type Page } from '@roundsman/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chooseAction } from './chooseAction.ts'
import { DUE } from './createTestJobs.ts'
import { fillConsole, type Filling } from './fillConsole.ts'
import { expectSeen } from './expectSeen.ts'
import { jobRow } from './jobRow.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer, type Viewer } from './openViewer.ts'

const PAGE = 50
const HOUR_MS = 3_600_000
const HEADER_WIDTH = `document.querySelector('header').getBoundingClientRect().right`
/** A cursor before which nothing ran. */
const CURSOR = Buffer.from(
  '2020-01-01T00:00:00.000Z/00000000-0000-0000-0000-000000000000',
).toString('base64url')

let browser: Browser
let stack: ConsoleStack
let filling: Filling

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack()])
  filling = await fillConsole(stack)
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

it('goes through the runs by j and k, and opens one by Enter or a click anywhere in its row', async () => {
  await using viewer = await open('/runs')
  const { page } = viewer
  const rows = page.getByRole('table', { name: 'Runs' }).locator('tbody').getByRole('row')
  await rows.nth(2).waitFor()
  const links = page.locator('[data-row-link]')
  const hrefs = await links.evaluateAll((all) => all.map((link) => link.getAttribute('href')))
  for (const key of 'jjk') await page.keyboard.press(key)
  expect(await page.locator('[data-row-link]:focus').getAttribute('href')).toBe(hrefs[0])
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL(`**${hrefs[1]}`)
  await page.goBack()
  // By force, because the row's link lies above the cell.
  await rows.nth(2).getByRole('cell').last().click({ force: true })
  await page.waitForURL(`**${hrefs[2]}`)
  expect(new URL(page.url()).pathname).toBe(hrefs[2])
})

it('folds the filters away where the screen is narrow', async () => {
  await using viewer = await open('/runs')
  const { page } = viewer
  await page.setViewportSize({ width: 375, height: 800 })
  const outcome = page.getByLabel('Outcome', { exact: true })
  await page.getByRole('button', { name: 'Filter', exact: true }).waitFor()
  expect(await outcome.isVisible()).toBe(false)
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await outcome.selectOption('failed')
  await expectSeen(page.getByRole('button', { name: 'Filter (1)' }))
})

it('from the overview to where it was thrown takes one click', async () => {
  await using viewer = await open('/')
  const { page } = viewer
  const attention = page.getByRole('region', { name: 'Needs attention' })
  await attention.getByRole('link', { name: 'View: run of callPartner' }).click()
  const error = page.getByRole('region', { name: 'Error' })
  await expectSeen(error.getByText('partner_down'))
  await expectSeen(error.getByText(/^createTestJobs\.ts:\d+$/))
  await expectSeen(error.getByText('Caused by ECONNREFUSED connect refused'))
  await expectSeen(error.getByText(/^at .*callPartner/))
  const log = page.getByRole('region', { name: 'Log' })
  await expectSeen(log.getByText('calling partner=b17'))

  const path = `/runs/${page.url().split('/').at(-1)}`
  await using other = await openViewer(browser, stack, { role: 'admin', path })
  const seen = other.page.getByRole('region', { name: 'Error' })
  await expectSeen(seen.getByText('are shown to people who may see payloads'))
  await expectSeen(seen.getByText('partner_down'))
  await expectSeen(seen.getByText(/^at .*callPartner/))
  expect(await other.page.getByText(/Caused by|connect refused|calling partner/).count()).toBe(0)

  // On a phone, frames break and are not cut.
  const frame = `\n    at deliver (${'node_modules/a-package-with-a-long-name/'.repeat(3)}index.js:1:1)`
  await stack.prisma.$executeRaw`
    update "JobRun" set "details" = jsonb_set("details", '{error,stack}', to_jsonb("details" #>> '{error,stack}' || ${frame}))
    where "id" = ${page.url().split('/').at(-1)}::uuid`
  await page.setViewportSize({ width: 375, height: 900 })
  await page.reload()
  await error.locator('summary').click()
  const frames = error.locator('pre')
  await frames.waitFor()
  expect(await frames.evaluate((pre) => pre.scrollWidth - pre.clientWidth)).toBe(0)
})

it('shows a dead letter below Dead letters, also where its link is that of waiting work', async () => {
  const [letter] = await stack.prisma.$queryRaw<{ id: string }[]>`
    select "id"::text from "JobDeadLetter" limit 1`
  await using viewer = await open(`/waiting/${letter?.id}`)
  const { page } = viewer
  await page.waitForURL(`**/dead-letters/${letter?.id}`)
  const here = page.getByRole('navigation', { name: 'Main' }).locator('[aria-current=page]')
  expect(await here.allInnerTexts()).toEqual(['Dead letters'])
})

describe('what the screens show is what is in the database', () => {
  it('overview: what is wrong, who works, what is next', async () => {
    await using viewer = await open('/')
    const { page } = viewer
    await page
      .getByText(
        /^The last run of callPartner failed with partner_down, .* and (one|\d) other thing/,
      )
      .waitFor()
    const attention = page.getByRole('region', { name: 'Needs attention' })
    await attention
      .getByText(/partner_down/)
      .first()
      .waitFor()
    await attention.getByText(`${DUE.toLocaleString('en')} rows`).waitFor()
    await attention.getByRole('link', { name: 'View: run of pruneRows' }).waitFor()

    await stack.prisma.$executeRaw`
      update "JobRun" set "label" = 'The long way' where "id" = ${filling.running.id}::uuid`
    await page.reload()
    const [worker] = await stack.prisma.jobWorker.findMany()
    const workers = page.getByRole('region', { name: 'Workers' })
    await workers.getByText(worker?.id ?? '').waitFor()
    await workers.getByText('Alive').waitFor()
    await workers.getByRole('link', { name: 'walkSteps' }).waitFor()
    await workers.getByText('The long way').waitFor()

    // The other schedule is paused.
    const ticks = page.getByRole('region', { name: 'Next runs' }).getByRole('listitem')
    expect(await ticks.getByRole('link').allTextContents()).toEqual(['countSheep'])

    const from = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 24 * HOUR_MS)
    const since = { startedAt: { gte: from } }
    const ended = await stack.prisma.jobRun.count({
      where: { ...since, status: { not: 'running' } },
    })
    const blocked = { ...since, errorCode: 'guard_blocked' }
    const failed =
      (await stack.prisma.jobRun.count({ where: { ...since, status: 'failed' } })) -
      (await stack.prisma.jobRun.count({ where: blocked }))
    await page
      .getByRole('region', { name: 'Runs in the last day' })
      .locator('.chartLead')
      .getByText(`${ended} ended, ${failed} failed`)
      .waitFor()
  })

  it('jobs: schedules in words and cron, strips, the pause and its reason', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    const sheep = jobRow(page, 'countSheep')
    await sheep.getByText(/^At \d\d:\d\d/).waitFor()
    // The job's zone is UTC, and the reader's is not.
    await sheep.getByText('UTC', { exact: true }).waitFor()
    await sheep.getByRole('group', { name: /^Last 60 runs of countSheep: \d failed$/ }).waitFor()

    const prune = jobRow(page, 'pruneRows')
    await prune.getByText('by owner@example.com: Until it is counted').waitFor()
    const own = await schedule('pruneRows')
    await prune.getByText(own.cron, { exact: true }).waitFor()
    await jobRow(page, 'walkSteps').getByText('On request only').waitFor()

    // Jobs that need somebody come first, and then paused ones.
    const rows = page.getByRole('table', { name: 'Jobs' }).locator('tbody').getByRole('row')
    const names = await rows.getByRole('rowheader').getByRole('link').allTextContents()
    expect(names.slice(0, 2)).toEqual(['callPartner', 'pruneRows'])
    const heights = await rows.evaluateAll((all) =>
      all.map((row) => row.getBoundingClientRect().height),
    )
    expect(Math.max(...heights)).toBeLessThan(50)
  })

  it('a job: its policies, its durations, its counts and its ticks to come', async () => {
    await using viewer = await open('/jobs/countSheep')
    const { page } = viewer
    const days = page.getByRole('region', { name: 'Runs by day' })
    await expectSeen(days.getByText(/^\d+ ended, \d+ failed/))
    await expectSeen(days.getByText(/^Half took up to .*, 95 % up to .*, of \d+ runs/))
    const counts = page.getByRole('region', { name: 'Counts by run' })
    await counts.getByText('1,000 cleaned by the last run').waitFor()
    await counts.getByLabel('Counter').selectOption('Batches')
    await expectSeen(counts.getByText(/^2 batches by each of \d+ of the last 60 runs/))
    const policies = page.getByRole('region', { name: 'Policies' })
    await policies.getByText('1, over all workers').waitFor()
    const upcoming = page.getByRole('region', { name: 'Next runs' })
    expect(await upcoming.locator('tbody').getByRole('row').count()).toBeGreaterThanOrEqual(5)
    // What is as usual is not told.
    expect(await policies.getByText('Guard').count()).toBe(0)
    expect(await page.getByRole('heading', { name: 'Schedules by key' }).count()).toBe(0)
  })

  it('a job that has not run: nothing is drawn, and it can be given a schedule', async () => {
    await using viewer = await open('/jobs/sweepRows')
    const { page } = viewer
    await page.getByText('No run has ended yet').waitFor()
    expect(await page.getByRole('region').locator('h2').allTextContents()).toEqual([
      'Last 60 runs',
      'Policies',
    ])
    await chooseAction(page, 'sweepRows', 'Add a schedule by key')
    await heading(page, 'Add a schedule of sweepRows').waitFor()
  })

  it('a run: what happened, what it counted, how far it is', async () => {
    await using viewer = await open(`/runs/${filling.running.id}`)
    const { page } = viewer
    await page.locator('.runLead').getByText('0 of 3').waitFor()
    const steps = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem')
    await steps.filter({ hasText: 'Enqueued' }).waitFor()
    await steps.filter({ hasText: 'Started' }).waitFor()
    await steps.filter({ hasText: 'not yet' }).waitFor()
    await page.getByText(filling.running.workerId).waitFor()

    await page.goto(`/console/runs/${filling.blocked.id}`)
    const counts = page.getByRole('region', { name: 'Counts' })
    await counts.getByText(DUE.toLocaleString('en'), { exact: true }).waitFor()
    await expectSeen(page.getByText('guard_blocked', { exact: true }))

    await page.goto(`/console/runs/${filling.child}`)
    const trace = page.getByRole('link', { name: 'ab'.repeat(16) })
    expect(await trace.getAttribute('href')).toBe(`https://traces.example.com/${'ab'.repeat(16)}`)
  })

  it('queues: what waits, what is worked on, and what was given up and why', async () => {
    await using viewer = await open('/queues')
    const { page } = viewer
    await page.getByText('0 waiting, 1 running').waitFor()
    const byJob = page.getByRole('table', { name: 'Queue by job' })
    await byJob.getByRole('link', { name: '1 dead letters of callPartner' }).click()
    await page.waitForURL('**/dead-letters?name=callPartner')
    const letter = page.getByRole('table', { name: 'Dead letters' }).getByRole('row').nth(1)
    await letter.getByText('partner_down').waitFor()
    await expectSeen(letter.getByText('The partner does not answer'))
  })

  it('queues: what has trouble first', async () => {
    await stack.prisma.$executeRaw`
      insert into "JobQueue" ("name", "pausedBy", "pauseReason") values ('sweepRows', 'owner@example.com', 'Too dusty')`
    await stack.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload", "dueAt")
      select gen_random_uuid(), 'sweepRows', 2, '{}', now() - interval '1 hour' from generate_series(1, 2)`
    await using viewer = await open('/queues')
    const { page } = viewer
    const rows = page.getByRole('table', { name: 'Queue by job' }).getByRole('rowheader')
    await rows.first().waitFor()
    expect(await rows.first().textContent()).toBe('sweepRows')
    await expectSeen(page.getByText('by owner@example.com · Too dusty'))
    const names = await rows.allTextContents()
    // With a dead letter before what is merely at work.
    expect(names.indexOf('callPartner')).toBeLessThan(names.indexOf('walkSteps'))
    await stack.prisma.$executeRaw`delete from "JobWork" where "name" = 'sweepRows'`
    await stack.prisma.$executeRaw`delete from "JobQueue"`
  })

  it('a worker: its runs', async () => {
    const { workerId } = filling.running
    await using viewer = await open(`/runs/${filling.running.id}`)
    const { page } = viewer
    await page.getByRole('link', { name: workerId }).click()
    const isItsRuns = ({ pathname, searchParams }: URL) =>
      pathname.endsWith('/runs') && searchParams.get('worker') === workerId
    await page.waitForURL(isItsRuns)
    await expectSeen(page.getByText('partner_down').first())
    await page.goto('/console/workers')
    await page.getByRole('rowheader').getByRole('link').first().click()
    await page.waitForURL(isItsRuns)
  })
})

it('the overview says for how long a worker has been silent that still holds its lock', async () => {
  const id = 'elsewhere:1:00000000'
  const lastSignAt = new Date(Date.now() - 107_000)
  await stack.prisma.jobWorker.create({
    data: { id, startedAt: lastSignAt, heartbeatAt: lastSignAt },
  })
  await stack.prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`select pg_advisory_xact_lock(hashtextextended(${id}, 0))`
      await using viewer = await open('/')
      const workers = viewer.page.getByRole('region', { name: 'Workers' })
      await expectSeen(workers.getByText(/^Silent for (1 min|2 min)/))
      expect(await workers.getByText('Alive').count()).toBe(1)
      await viewer.page.getByText('end process 1 on elsewhere').waitFor()
      await viewer.page.goto('/console/workers')
      await viewer.page.getByRole('heading', { name: '1 alive, 1 silent' }).waitFor()
    },
    { timeout: 60_000 },
  )
  await stack.prisma.jobWorker.delete({ where: { id } })
})

describe('a run that was tried again', () => {
  it('leads to all attempts at its work, and from there back to any work', async () => {
    const work = randomUUID()
    const at = (minutes: number) => new Date(Date.now() - HOUR_MS + minutes * 60_000)
    const attempts = [1, 2, 3].map((attempt) => ({
      id: randomUUID(),
      name: 'callPartner',
      trigger: 'queue' as const,
      status: attempt < 3 ? ('failed' as const) : ('success' as const),
      errorCode: attempt < 3 ? 'partner_down' : null,
      ...(attempt < 3 && { details: filling.failed.details ?? {} }),
      attempt,
      startedAt: at(attempt),
      endedAt: at(attempt),
      workId: work,
      workerId: 'worker-of-yesterday',
    }))
    await stack.prisma.jobRun.createMany({ data: attempts })
    await using viewer = await open(`/runs/${attempts[1]!.id}`)
    const { page } = viewer
    await page.getByRole('link', { name: 'All attempts of this work' }).click()
    await page.waitForURL(`**/runs?workId=${work}`)
    const links = await runLinks(page, 3)
    expect(links).toEqual(attempts.toReversed().map(({ id }) => `/console/runs/${id}`))
    const csv = page.getByRole('link', { name: 'Download CSV' })
    expect(await csv.getAttribute('href')).toBe(`/api/jobs/runs.csv?workId=${work}`)
    await page.getByRole('button', { name: 'Of any work' }).click()
    await page.waitForURL('**/console/runs')
    await page.getByText('The newest 50 runs').waitFor()
    await page.goto(`/console/runs/${filling.failed.id}`)
    await page.getByRole('link', { name: /^partner_down, \d+ runs$/ }).click()
    await page.waitForURL('**/runs?*errorCode=partner_down*')
    await stack.prisma.jobRun.deleteMany({ where: { workId: work } })
  })
})

describe('runs', () => {
  it('are paged through, none twice and none left out', async () => {
    await using viewer = await open('/runs?name=countSheep')
    const { page } = viewer
    const total = await stack.prisma.jobRun.count({ where: { name: 'countSheep' } })
    const seen = await runLinks(page, PAGE)
    await page.getByRole('link', { name: 'Older' }).click()
    seen.push(...(await runLinks(page, PAGE, seen.at(-1))))
    await page.getByRole('link', { name: 'Older' }).click()
    seen.push(...(await runLinks(page, total - 2 * PAGE, seen.at(-1))))
    expect(new Set(seen).size).toBe(total)
    await page.goBack()
    expect(await runLinks(page, PAGE, seen.at(-1))).toEqual(seen.slice(PAGE, 2 * PAGE))
  })

  it('are filtered by what stands in the address, which survives a reload', async () => {
    await using viewer = await open('/runs')
    const { page } = viewer
    await page.getByLabel('Job').selectOption('countSheep')
    await page.getByLabel('Outcome').selectOption({ label: 'Failed' })
    await page.getByRole('button', { name: 'More filters' }).click()
    await page.getByLabel('Trigger').selectOption('schedule')
    await page.waitForURL('**/runs?name=countSheep&outcome=failed&trigger=schedule')
    const failed = await stack.prisma.jobRun.count({
      where: { name: 'countSheep', status: 'failed' },
    })
    await page.getByText(`${failed} runs`, { exact: true }).waitFor()
    await page.reload()
    await page.getByText(`${failed} runs`, { exact: true }).waitFor()
    expect(await page.getByLabel('Outcome').inputValue()).toBe('failed')
    // Filters that the address has are not folded.
    expect(await page.getByLabel('Trigger').inputValue()).toBe('schedule')

    await page.getByRole('button', { name: 'Started within the last day' }).click()
    await page.waitForURL(/[?&]from=/)
    const recent = await stack.prisma.jobRun.count({
      where: {
        name: 'countSheep',
        status: 'failed',
        startedAt: { gte: new Date(Date.now() - 86_400_000) },
      },
    })
    await page.getByText(`${recent} run`).waitFor()
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.waitForURL('**/console/runs')

    // Dates are as in ISO 8601, whatever the browser's language, or in words.
    const from = page.getByLabel('From')
    await from.fill('11/24/2026')
    await from.press('Enter')
    await page.getByText('Such as 2026-11-24 09:00').waitFor()
    await from.fill('yesterday')
    await from.press('Enter')
    await page.waitForURL(/[?&]from=/)
    expect(await from.inputValue()).toMatch(/^\d{4}-\d\d-\d\d 00:00$/)
  })

  it('are looked through part by part where no index tells', async () => {
    await using viewer = await open('/runs?worker=nobody', async (page) => {
      // As if there were many more runs than one look reads.
      await page.route('**/api/jobs/runs?worker=nobody&limit=50', async (route) => {
        const answer = { runs: [], nextCursor: CURSOR, lookedBackTo: '2026-11-24T12:00:00.000Z' }
        await route.fulfill({ json: answer })
      })
    })
    const { page } = viewer
    await page.getByText('None yet').waitFor()
    await page.getByRole('link', { name: 'Look further back' }).click()
    await page.waitForURL(`**/runs?worker=nobody&cursor=${CURSOR}`)
    await expectSeen(page.getByText('No runs match'))
  })
})

describe('without a mouse', () => {
  it('the first Tab leads to a link past the navigation', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await jobRow(page, 'countSheep').waitFor()
    await page.keyboard.press('Tab')
    await expectFocus(page, page.getByRole('link', { name: 'Skip to the content' }))
    await page.keyboard.press('Enter')
    await expectFocus(page, page.getByRole('main'))
    await page.keyboard.press('Tab')
    await expectFocus(page, page.getByRole('searchbox', { name: 'Filter jobs by name' }))
  })

  it('keys lead to the screens, whose headings take the focus', async () => {
    await using viewer = await open('/')
    const { page } = viewer
    await heading(page, 'Overview').waitFor()
    for (const [key, name] of [
      ['j', 'Jobs'],
      ['r', 'Runs'],
      ['q', 'Queues'],
      ['a', 'Waiting'],
      ['d', 'Dead letters'],
      ['l', 'Limits'],
      ['w', 'Workers'],
      ['o', 'Overview'],
    ] as const) {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
      await expectFocus(page, heading(page, name))
    }
  })

  it('Back leads to the link by which the page was left', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await jobRow(page, 'callPartner').waitFor()
    const link = (name: string) => page.getByRole('main').getByRole('link', { name, exact: true })
    await link('countSheep').focus()
    await page.keyboard.press('Enter')
    await expectFocus(page, heading(page, 'countSheep'))
    await page.goBack()
    await expectFocus(page, link('countSheep'))
    await link('callPartner').click()
    await expectFocus(page, heading(page, 'callPartner'))
    await page.goBack()
    await expectFocus(page, link('callPartner'))
    // A new visit is none back.
    await page.keyboard.press('g')
    await page.keyboard.press('r')
    await expectFocus(page, heading(page, 'Runs'))
    await page.keyboard.press('g')
    await page.keyboard.press('j')
    await expectFocus(page, heading(page, 'Jobs'))
  })

  it('a dialog takes the focus, keeps it, and gives it back', async () => {
    await using viewer = await open('/jobs/countSheep')
    const { page } = viewer
    const button = page.getByRole('button', { name: 'Run now' })
    await button.focus()
    const width = await page.evaluate(HEADER_WIDTH)
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Run countSheep now' })
    await expectFocus(page, dialog.getByLabel('Reason'))
    // The header ends at the scrollbar, and nothing moves.
    expect(width).toBe(await page.evaluate('document.documentElement.clientWidth'))
    expect(await page.evaluate(HEADER_WIDTH)).toBe(width)
    // Here letters are no shortcuts.
    await page.keyboard.type('gr')
    expect(await dialog.getByLabel('Reason').inputValue()).toBe('gr')
    await page.keyboard.press('Tab')
    await expectFocus(page, dialog.getByRole('button', { name: 'Cancel' }))
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await expectFocus(page, button)
  })

  it('arrows lead along a strip, and what is under the focus is said', async () => {
    await using viewer = await open('/jobs/countSheep')
    const { page } = viewer
    const strip = page.getByRole('group', { name: /^Last 60 ticks of countSheep/ })
    const marks = strip.locator('[aria-label]')
    await marks.last().focus()
    await page.keyboard.press('ArrowLeft')
    await expectFocus(page, marks.nth(58))
    await page.keyboard.press('Home')
    await expectFocus(page, marks.first())
    await expectSeen(page.getByRole('tooltip').getByText('UTC'))
    await page.keyboard.press('Escape')
    await page.getByRole('tooltip').waitFor({ state: 'hidden' })
  })

  it('Tab comes to one row of a table, and the arrow keys lead to the others', async () => {
    await using viewer = await open('/runs?name=countSheep')
    const { page } = viewer
    const rows = page.getByRole('table', { name: 'Runs' }).locator('tbody').getByRole('row')
    await rows.nth(3).waitFor()
    await page.getByLabel('Select all on this page').focus()
    await page.keyboard.press('Tab')
    await expectFocus(page, rows.nth(0).getByRole('checkbox'))
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    await expectFocus(page, rows.nth(2).getByRole('rowheader').getByRole('link'))
    await page.keyboard.press('x')
    await page.keyboard.press('j')
    await page.keyboard.press('x')
    await page.getByText('2 selected').waitFor()
    expect(await rows.nth(2).getByRole('checkbox').isChecked()).toBe(true)
    // Past all rows and their links.
    await page.keyboard.press('End')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await expectFocus(page, page.getByRole('link', { name: 'Older' }))
  })

  it('shows its keys, and lets them be turned off for good', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await jobRow(page, 'countSheep').waitFor()
    await page.keyboard.press('f')
    await expectFocus(page, page.getByRole('searchbox', { name: 'Filter jobs by name' }))
    await page.keyboard.press('Tab')
    await page.keyboard.press('?')
    const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' })
    await help.getByLabel('Single letters act as shortcuts').uncheck()
    await page.keyboard.press('Escape')
    await help.waitFor({ state: 'detached' })
    await page.reload()
    await jobRow(page, 'countSheep').waitFor()
    await page.keyboard.press('?')
    expect(await help.count()).toBe(0)
  })
})

describe('the search', () => {
  const box = (page: Page) => page.getByRole('combobox', { name: 'Search' })
  const option = (page: Page, name: string | RegExp) =>
    page.getByRole('listbox').getByRole('option', { name })

  it('opens by /, leads to a job, and gives the focus back when it is left', async () => {
    await using viewer = await open('/runs')
    const { page } = viewer
    await heading(page, 'Runs').waitFor()
    const button = page.getByRole('button', { name: 'Search' })
    await button.focus()
    await page.keyboard.press('/')
    await expectFocus(page, box(page))
    await option(page, 'Overview').waitFor()
    await page.keyboard.press('Escape')
    await box(page).waitFor({ state: 'detached' })
    await expectFocus(page, button)
    await page.keyboard.press('/')
    await page.keyboard.type('greet')
    await option(page, /^greetCustomer/).waitFor()
    expect(await option(page, /^greetCustomer/).getAttribute('aria-selected')).toBe('true')
    await page.keyboard.press('Enter')
    await heading(page, 'greetCustomer').waitFor()
    await expectFocus(page, heading(page, 'greetCustomer'))
  })

  it('opens while one types, and starts what is asked for', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await page.getByRole('searchbox', { name: 'Filter jobs by name' }).focus()
    await page.keyboard.press('Meta+k')
    await box(page).fill('dry countsheep')
    await option(page, 'Dry run of countSheep').waitFor()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Dry run of countSheep' })
    await expectFocus(page, dialog.getByLabel('Reason'))
  })
})

describe('the scheme', () => {
  it('is kept, and there before the first paint', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await page.getByRole('button', { name: 'Theme: system' }).click()
    await page.getByRole('button', { name: 'Theme: light' }).click()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    await page.reload({ waitUntil: 'commit' })
    await page.locator('html[data-theme=dark]').waitFor()
    await expectSeen(page.getByRole('button', { name: 'Theme: dark' }))
  })
})

function open(path: string, prepare?: (page: Page) => Promise<void>): Promise<Viewer> {
  return openViewer(browser, stack, { role: 'owner', path, ...(prepare && { prepare }) })
}

function heading(page: Page, name: string): Locator {
  return page.getByRole('heading', { name, level: 1, exact: true })
}

async function expectFocus(page: Page, element: Locator): Promise<void> {
  await expectSeen(element.and(page.locator(':focus')))
}

/** The addresses of the runs on a page of so many, once it is no longer the page that ended with `before`. */
async function runLinks(page: Page, count: number, before?: string): Promise<string[]> {
  const links = page.getByRole('table', { name: 'Runs' }).getByRole('rowheader').getByRole('link')
  await page.getByText(count === 1 ? '1 run' : `${count} runs`).waitFor()
  if (before !== undefined) {
    await page.locator(`[role=rowheader] a[href="${before}"]`).waitFor({ state: 'detached' })
  }
  return await links.evaluateAll((all) => all.map((link) => link.getAttribute('href') ?? ''))
}

async function schedule(name: string) {
  return await stack.prisma.jobSchedule.findUniqueOrThrow({
    where: { name_key: { name, key: '' } },
  })
}
