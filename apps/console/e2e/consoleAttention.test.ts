// Not quick: starts processes.
import { openBrowser, waitFor, type Browser, type Page } from '@roundsman/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { DUE, STEPS } from './createTestJobs.ts'
import { findBarriers } from './findBarriers.ts'
import { expectSeen } from './expectSeen.ts'
import { jobRow } from './jobRow.ts'
import { openConsoleStack, VERSION, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer } from './openViewer.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** How many runs of each job a worker takes at once by default. */
const LANES = 10
const WAITING = 20

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack({ hasUntended: true })])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

beforeEach(async () => {
  await stack.prisma.jobRun.deleteMany()
  // As a worker would have left it that is gone: none that lives has this schedule.
  const { name, schedule } = stack.untended
  const [cron, timeZone] = [schedule!.cron, schedule!.timeZone]
  const row = { cron, timeZone, cursor: new Date() }
  await stack.prisma.jobSchedule.upsert({
    where: { name_key: { name, key: '' } },
    create: { name, ...row },
    update: row,
  })
  await stack.prisma.$executeRaw`delete from "JobDeadLetter"`
})

describe('the overview says what needs somebody', () => {
  it('a schedule that no worker has', async () => {
    await stack.prisma.jobSchedule.delete({
      where: { name_key: { name: stack.untended.name, key: '' } },
    })
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'ringBells is scheduled by no worker').waitFor()
    await expectSeen(needs(page, 'Unscheduled').getByText('deploy the workers too'))
  })

  it('for whom a session waits at a lock', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    let waiting: Promise<unknown> = Promise.resolve()
    await stack.prisma.$transaction(
      async (tx) => {
        await tx.$executeRaw`select pg_advisory_xact_lock(4711)`
        waiting = Promise.resolve(stack.prisma.$executeRaw`select pg_advisory_xact_lock(4711)`)
        const item = needs(page, 'Lock')
        await item.getByText('for a lock of').waitFor({ timeout: 25_000 })
        await expectSeen(item.getByText('idle in transaction'))
        await page
          .getByText(/^pid \d+ .* has waited .* for a lock of pid/)
          .first()
          .waitFor()
      },
      { timeout: 40_000 },
    )
    await waiting
  })

  it('how many of a job fail, against how many usually do, with the cause and the way to the runs', async () => {
    const name = 'greetCustomer'
    await makeHistory(name, 1_000)
    await makeRuns(name, 13, null)
    await makeRuns(name, 12, 'ECONNREFUSED')
    await makeRuns(name, 2, 'no_answer')
    await makeRuns(name, 5, 'cancelled')
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, `${name}: 14 of 27 failed in 1 h`).waitFor()
    const item = needs(page, 'Failing')
    // Early in an hour the one before, with some of these runs, is among those that are usual.
    await item.getByText(/usually (none|\d+ %)/).waitFor()
    await item.getByText('12 × ECONNREFUSED').waitFor()
    // What is wrong since the last deployment, say, may not have failed most of the hour.
    await item.getByText('The last one: no_answer').waitFor()
    await item.getByRole('link', { name: '14 of 27 failed in 1 h' }).click()
    await page.waitForURL(new RegExp(`/runs\\?name=${name}&status=failed&from=`))
    await page.getByText(/^\d+ runs$/).waitFor()
    await page.goBack()
    await item.getByRole('link', { name: 'ECONNREFUSED' }).click()
    await page.getByText('12 runs', { exact: true }).waitFor()

    await page.getByRole('link', { name: 'Jobs', exact: true }).click()
    const rows = page.getByRole('table', { name: 'Jobs' }).getByRole('row')
    // The first row holds the headings.
    await rows.nth(1).getByText('52 %').waitFor()
    await expectSeen(rows.nth(1).getByText('14 of 27 in 1 h'))
  })

  it('a job that succeeds and does nothing any more, and one that is far slower than usual', async () => {
    const add = (name: string, minutesAgo: readonly number[], ms: number, archived: number) =>
      stack.prisma.jobRun.createMany({
        data: minutesAgo.map((minutes) => {
          const startedAt = new Date(Date.now() - minutes * MINUTE_MS)
          const endedAt = new Date(startedAt.getTime() + ms)
          const workerId = archived === 0 || ms > 1_000 ? 'new' : 'w'
          const run = { name, trigger: 'queue' as const, status: 'success' as const, workerId }
          return { id: randomUUID(), ...run, startedAt, endedAt, details: { archived } }
        }),
      })
    const range = (length: number, minuteOf: (at: number) => number) =>
      Array.from({ length }, (_, at) => minuteOf(at))
    await stack.prisma.$executeRaw`
      insert into "JobFormerWorker" ("id", "version", "startedAt", "endedAt")
      values ('w', '0.2.0', now() - interval '9 days', now()), ('new', '0.2.1', now() - interval '2 hours', now())`
    await add(
      'walkSteps',
      range(14, (at) => 60 + at),
      10,
      0,
    )
    await add(
      'walkSteps',
      range(40, (at) => 100 + at),
      10,
      100,
    )
    for (const nth of [0, 1, 2]) {
      await add(
        'greetCustomer',
        range(6, (at) => 25 * 60 + nth * 420 - 10 - at),
        75,
        1,
      )
    }
    await add(
      'greetCustomer',
      range(12, (at) => 2 + at),
      2_000,
      1,
    )
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'walkSteps has done nothing for 1 h').waitFor()
    const idle = needs(page, 'Does nothing')
    await idle.getByText('walkSteps has done nothing in 14 runs').waitFor()
    await idle.getByText(', first run of version 0.2.1').waitFor()
    await idle.getByText('usually it is 100').waitFor()
    const slower = needs(page, 'Slower')
    await slower.getByText('half of its last 12 runs took 2 s or more').waitFor()
    await slower.getByText(/, since .*, first run of version 0\.2\.1$/).waitFor()
    await expectSeen(slower.getByText('Usually half take 75 ms'))
    expect(await findBarriers(page)).toEqual([])
    const hours = page.getByRole('region', { name: 'Runs in the last day' })
    const keys = hours.getByRole('listitem')
    await keys.getByText('version 0.2.1').waitFor()
    // That of the worker that lives began too; the one that was there before the day did not.
    await keys.getByText(`version ${VERSION}`).waitFor()
    expect(await hours.locator('.plotArea .versionLine').count()).toBe(2)
    // In the list of jobs, before those that need nobody, and where the screen is narrow too.
    await page.getByRole('link', { name: 'Jobs', exact: true }).click()
    const rows = page.getByRole('table', { name: 'Jobs' }).getByRole('row')
    await rows.nth(1).getByRole('link', { name: 'greetCustomer', exact: true }).waitFor()
    for (const width of [1280, 1000, 375]) {
      await page.setViewportSize({ width, height: 900 })
      const told = rows.nth(1).getByText('half took 2 s or more in 1 h, usually 75 ms')
      await expectSeen(told.filter({ visible: true }))
      expect(await rows.nth(2).getByText('or more in 1 h').count()).toBe(0)
      expect(await findBarriers(page)).toEqual([])
    }
    await page.setViewportSize({ width: 1280, height: 900 })
    // The same on the page of the job, and the version on that of the run.
    await page.getByRole('link', { name: 'greetCustomer' }).first().click()
    await page.getByRole('heading', { name: 'greetCustomer' }).waitFor()
    await needs(page, 'Slower').getByText(', first run of version 0.2.1').waitFor()
    expect(await page.locator('.attentionItem').count()).toBe(1)
    expect(await findBarriers(page)).toEqual([])
    // And where it changed, in the chart and beside it in words.
    const marks = page.getByRole('list', { name: 'What the marks and lines mean' })
    await marks.getByText(/^version 0\.2\.1/).waitFor()
    expect(await marks.getByText(/^version/).count()).toBe(1)
    for (const chart of ['Durations', /^Runs by/])
      expect(
        await page.getByRole('region', { name: chart }).locator('.plotArea .versionLine').count(),
      ).toBe(1)
    await needs(page, 'Slower').getByRole('link').nth(1).click()
    await expectSeen(page.getByText('0.2.1', { exact: true }))
    await stack.prisma.$executeRaw`delete from "JobFormerWorker"`
  })

  it('a piece of work that loses workers, which is cancelled and not run again', async () => {
    const workId = randomUUID()
    await stack.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "place", "dueAt", "losses", "bytes", "payload")
      values (${workId}::uuid, 'greetCustomer', null, now() + interval '1 hour', 5, 2, '{}')`
    const data = [1, 2, 3, 4, 5].map((minutes) => {
      const startedAt = new Date(Date.now() - minutes * MINUTE_MS)
      const run = { name: 'greetCustomer', trigger: 'queue' as const, workerId: 'w', workId }
      const end = { status: 'failed' as const, errorCode: 'worker_lost', endedAt: startedAt }
      return { id: randomUUID(), ...run, ...end, startedAt }
    })
    await stack.prisma.jobRun.createMany({ data })
    await stack.prisma.$executeRaw`update "JobRun" set "label" = 'Poster 905'`
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'Poster 905 of greetCustomer has lost 5 workers').waitFor()
    const item = needs(page, 'Loses workers')
    await item.getByText('It runs alone in its process, due in').waitFor()
    expect(await page.getByRole('button', { name: 'Run again: greetCustomer' }).count()).toBe(0)
    expect(await findBarriers(page)).toEqual([])
    await page.goto(`/console/runs/${data[0]!.id}`)
    await expectSeen(page.getByText(/^It has ended 5 workers, .* it runs alone, due in/))
    expect(await page.getByRole('button', { name: 'Run again' }).count()).toBe(0)
    await expectSeen(page.getByRole('button', { name: 'Cancel: work of greetCustomer' }))
    expect(await findBarriers(page)).toEqual([])
    await page.goto('/console/')
    await item.getByRole('button', { name: 'Cancel: work of greetCustomer' }).click()
    await page.getByLabel('Reason').fill('it takes the process down')
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Cancel/ })
      .last()
      .click()
    await waitFor(
      async () => (await stack.prisma.$queryRaw<[]>`select from "JobWork"`).length === 0,
    )
  })

  it('that work which was given up has ended workers, before it is retried', async () => {
    const workId = randomUUID()
    await stack.prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "losses", "label", "bytes", "payload", "errorCode", "errorMessage")
      values (${workId}::uuid, 'greetCustomer', 5, 'Poster 905', 2, '{}', 'worker_lost', 'Worker w died')`
    await stack.prisma.$executeRaw`
      insert into "JobQueue" ("name", "pausedBy") values ('greetCustomer', 'somebody')`
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/queue' })
    const { page } = viewer
    await page.getByRole('button', { name: 'Retry', exact: true }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Reason').fill('there is more memory')
    const confirm = dialog.getByRole('button', { name: 'Retry' })
    await confirm.click()
    const warning = dialog.getByLabel(/^Poster 905 has ended 5 workers, .* may end another\.$/)
    expect(await warning.and(page.locator(':invalid')).count()).toBe(1)
    expect(await findBarriers(page)).toEqual([])
    expect(await stack.prisma.$queryRaw<[]>`select from "JobDeadLetter"`).toHaveLength(1)
    await warning.check()
    await confirm.click()
    await page.getByText('It is back in the queue').waitFor()
    expect(await stack.prisma.$queryRaw<[]>`select from "JobWork"`).toHaveLength(1)
    await stack.prisma.$executeRaw`delete from "JobWork"`
    await stack.prisma.$executeRaw`delete from "JobQueue"`
  })

  it('what has recovered, calmly and below what still fails', async () => {
    await makeRuns('greetCustomer', 14, 'ECONNREFUSED', 30)
    await makeRuns('greetCustomer', 13, null)
    await makeRuns('callPartner', 2, 'partner_down')
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'callPartner: 2 of 2 failed in 1 h').waitFor()
    const item = needs(page, 'Recovered')
    await item.getByText('14 of 27 failed in 1 h, the last 13 succeeded').waitFor()
    expect(await page.locator('.attentionItem .badge').allTextContents()).toEqual([
      'Failing',
      'Recovered',
    ])
    expect(await findBarriers(page)).toEqual([])

    await stack.prisma.jobRun.deleteMany({ where: { name: 'callPartner' } })
    await page.reload()
    await sentence(page, 'All 7 jobs on time, one has recovered').waitFor()
    await page.getByRole('link', { name: 'Jobs', exact: true }).click()
    const share = jobRow(page, 'greetCustomer').getByText('52 %')
    expect(await share.getAttribute('class')).not.toContain('isBad')
  })

  it('what waits longer than it should, with when it is caught up, and how many lanes are in use', async () => {
    const { prisma } = stack
    for (let n = 0; n < LANES + WAITING; n += 1) await stack.enqueue('walkSteps')
    await waitFor(async () => {
      const where = { name: 'walkSteps', status: 'running' as const }
      return (await prisma.jobRun.count({ where })) === LANES
    })
    await prisma.$executeRaw`
      update "JobWork" set "dueAt" = now() - interval '100 seconds' where "name" = 'walkSteps'`
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    const workers = page.getByRole('region', { name: 'Workers' })
    await workers.getByRole('link', { name: `walkSteps × ${LANES} of ${LANES}` }).waitFor()
    const backlog = page.getByRole('region', { name: 'Backlog' }).getByRole('listitem')
    await backlog.getByText(`${WAITING} waiting, the oldest for 1 min`).waitFor()
    await backlog.getByText(/^caught up in \d min$/).waitFor()
    await page.setViewportSize({ width: 375, height: 800 })
    const seen = backlog.locator('> span').first()
    expect(await seen.evaluate((one) => one.scrollWidth - one.clientWidth)).toBe(0)

    await prisma.$executeRaw`
      update "JobWork" work set "dueAt" = now() - interval '1 second' * case row.n when ${WAITING} then 100 else row.n end
      from (select "id", row_number() over (order by "place" desc) as n from "JobWork" where "name" = 'walkSteps') row
      where row."id" = work."id"`
    await page.reload()
    await sentence(
      page,
      `walkSteps: ${WAITING} waiting, growing: more comes than is taken`,
    ).waitFor()
    await expectSeen(needs(page, 'Behind').getByText(/\d an? (minute|hour) coming/))
    expect(await backlog.count()).toBe(0)
    expect(await findBarriers(page)).toEqual([])

    stack.steps.open((LANES + WAITING) * STEPS)
    await waitFor(
      async () =>
        (await prisma.jobRun.count({ where: { name: 'walkSteps', status: 'success' } })) ===
        LANES + WAITING,
    )
  })

  it('what work was given up for', async () => {
    for (const _ of [1, 2]) await stack.enqueue('callPartner')
    await waitFor(
      async () => (await stack.prisma.jobRun.count({ where: { status: 'failed' } })) === 2,
    )
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const item = needs(viewer.page, 'Dead letters')
    await item.getByText('2 pieces of work').waitFor()
    await expectSeen(item.getByText('2 × partner_down The partner does not answer'))
  })

  it('a run that takes far longer than usual, until it has ended', async () => {
    await makeHistory('walkSteps', 2_000)
    await stack.enqueue('walkSteps')
    const { id } = await waitFor(() =>
      stack.prisma.jobRun.findFirst({ where: { name: 'walkSteps', status: 'running' } }),
    )
    const startedAt = new Date(Date.now() - 10 * MINUTE_MS)
    await stack.prisma.jobRun.update({ where: { id }, data: { startedAt } })
    await stack.prisma.jobClaim.updateMany({ data: { startedAt } })

    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'walkSteps has been running for 10 min').waitFor()
    const item = needs(page, 'Slow')
    await item.getByText('walkSteps has been running for 10 min').waitFor()
    await item.getByText('Usually it takes 2 s.').waitFor()
    await item.getByRole('button', { name: 'Cancel: walkSteps' }).waitFor()
    const link = item.getByRole('link', { name: 'View: run of walkSteps' })
    expect(await link.getAttribute('href')).toBe(`/console/runs/${id}`)

    stack.steps.open(STEPS)
    await sentence(page, 'All 7 jobs on time').waitFor()
    await expectSeen(page.getByText('Nothing needs you'))
  })

  it('a run that its guard has blocked, with the number at stake', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, 'All 7 jobs on time').waitFor()
    await stack.enqueue('pruneRows')
    // It is given up as well, so that there are two things to decide.
    await sentence(page, 'pruneRows waits for an approval, and one other thing').waitFor()
    const item = needs(page, 'Blocked')
    await item
      .getByText(`pruneRows wanted to change ${DUE.toLocaleString('en')} rows, more than`)
      .waitFor()
    await item.getByText(/^Can be approved until \w{3} \d\d \w{3}, \d\d:\d\d$/).waitFor()
    await expectSeen(item.getByRole('button', { name: 'Approve: pruneRows' }))
    // In the order of the sentence.
    expect(await page.locator('.attentionItem .badge').allTextContents()).toEqual([
      'Blocked',
      'Dead letters',
    ])
  })

  it('a schedule whose tick nobody has decided', async () => {
    const { name } = stack.untended
    const at = new Date(Date.now() - 3 * DAY_MS)
    await stack.prisma.jobSchedule.update({
      where: { name_key: { name, key: '' } },
      data: { cursor: at },
    })
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await sentence(page, /^ringBells is [23] d .*late$/).waitFor()
    const item = needs(page, 'Late')
    await item.getByText(/ringBells was due [23] d/).waitFor()
    await item.getByRole('button', { name: 'Run now: ringBells' }).waitFor()
    expect(await findBarriers(page)).toEqual([])

    await page.getByRole('link', { name: 'Jobs', exact: true }).click()
    const card = jobRow(page, 'ringBells')
    await card.getByText(/^[23] d .*late$/).waitFor()

    // A worker that knows the schedule has come.
    await stack.prisma.jobSchedule.update({
      where: { name_key: { name, key: '' } },
      data: { cursor: new Date() },
    })
    await page.goto('/console/')
    await expectSeen(sentence(page, 'All 7 jobs on time'))
  })
})

it('the overview says for how long a worker has been silent that still holds its lock', async () => {
  const id = 'elsewhere:1:00000000'
  const lastSignAt = new Date(Date.now() - 47_000)
  await stack.prisma.jobWorker.create({
    data: { id, liveness: 'lock', startedAt: lastSignAt, heartbeatAt: lastSignAt },
  })
  await stack.prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`select pg_advisory_xact_lock(hashtextextended(${id}, 0))`
      await using viewer = await openViewer(browser, stack, { role: 'admin' })
      const workers = viewer.page.getByRole('region', { name: 'Workers' })
      await expectSeen(workers.getByText(/^Silent for (4[7-9]|5\d) s$|^Silent for 1 min/))
      expect(await workers.getByText('Alive').count()).toBe(1)
      await needs(viewer.page, 'Silent').getByText('end process 1 on elsewhere').waitFor()
      await viewer.page.goto('/console/workers')
      await viewer.page.getByRole('heading', { name: '1 alive, 1 silent' }).waitFor()
    },
    { timeout: MINUTE_MS },
  )
  await stack.prisma.jobWorker.delete({ where: { id } })
})

it('the queue folds those away in which nothing happens', async () => {
  const inTwoHours = new Date(Date.now() + 120 * MINUTE_MS)
  await atTime(inTwoHours.toISOString(), async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/queue' })
    const { page } = viewer
    const rows = page.getByRole('table', { name: 'Queue by job' }).getByRole('rowheader')
    // No worker takes its work.
    await rows.first().waitFor()
    expect(await rows.allTextContents()).toEqual(['ringBells'])
    await page.getByRole('button', { name: 'Show 6 quiet queues' }).click()
    await rows.nth(6).waitFor()
    expect(await findBarriers(page)).toEqual([])
    await page.getByRole('button', { name: 'Hide 6 quiet queues' }).click()
    await expectSeen(page.getByRole('button', { name: 'Show 6 quiet queues' }))
    expect(await rows.count()).toBe(1)
  })
})

describe('the ticks to come of a schedule whose clocks change', () => {
  it('mark the one that comes late because its hour does not come', async () => {
    await atTime('2027-03-20T12:00:00Z', async () => {
      await using viewer = await openViewer(browser, stack, {
        role: 'admin',
        path: '/jobs/ringBells',
      })
      const day = upcomingDay(viewer.page, 'Sun 28 Mar')
      await day.getByText('Clock change').waitFor()
      await day.getByText('+01:00 → +02:00').waitFor()
      expect(await day.getByRole('time').allTextContents()).toEqual(['03:00↷'])
      const before = upcomingDay(viewer.page, 'Sat 27 Mar')
      expect(await before.getByRole('time').allTextContents()).toEqual(['02:00', '02:30'])
      expect(await viewer.page.getByText('Clock change').count()).toBe(1)
    })
  })

  it('mark those whose hour comes twice', async () => {
    await atTime('2027-10-20T12:00:00Z', async () => {
      await using viewer = await openViewer(browser, stack, {
        role: 'admin',
        path: '/jobs/ringBells',
      })
      const day = upcomingDay(viewer.page, 'Sun 31 Oct')
      await day.getByText('Clock change').waitFor()
      const ticks = await day.getByRole('time').allTextContents()
      expect(ticks).toEqual(['02:00↻', '02:30↻'])
    })
  })
})

/** Does the work at this instant by the server's clock, with a session that began then. */
async function atTime(instant: string, work: () => Promise<void>): Promise<void> {
  stack.setLead(Date.parse(instant) - Date.now())
  try {
    await work()
  } finally {
    stack.setLead(0)
  }
}

/** Adds successes of this duration, to compare others with. */
async function makeHistory(name: string, durationMs: number): Promise<void> {
  const data = Array.from({ length: 20 }, (_, index) => {
    const startedAt = new Date(Date.now() - (index + 2) * 60 * MINUTE_MS)
    const endedAt = new Date(startedAt.getTime() + durationMs)
    const workerId = 'worker-of-yesterday'
    const run = { name, trigger: 'queue' as const, status: 'success' as const, workerId }
    return { id: randomUUID(), ...run, startedAt, endedAt }
  })
  await stack.prisma.jobRun.createMany({ data })
}

/** Adds runs of the last hour. */
async function makeRuns(
  name: string,
  count: number,
  errorCode: string | null,
  fromMinute = 1,
): Promise<void> {
  const data = Array.from({ length: count }, (_, index) => {
    const startedAt = new Date(Date.now() - (index + fromMinute) * MINUTE_MS)
    const status = errorCode === null ? ('success' as const) : ('failed' as const)
    const run = {
      name,
      trigger: 'queue' as const,
      status,
      errorCode,
      workerId: 'worker-of-yesterday',
    }
    return { id: randomUUID(), ...run, startedAt, endedAt: startedAt }
  })
  await stack.prisma.jobRun.createMany({ data })
}

function sentence(page: Page, text: string | RegExp) {
  return page.locator('.sentence').getByText(text)
}

function needs(page: Page, badge: string) {
  return page
    .getByRole('region', { name: 'Needs attention' })
    .getByRole('listitem')
    .filter({ has: page.getByText(badge, { exact: true }) })
}

function upcomingDay(page: Page, date: string) {
  return page
    .getByRole('region', { name: 'Ticks of the next 30 days' })
    .getByRole('listitem')
    .filter({ hasText: date })
}
