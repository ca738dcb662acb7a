// Not quick: starts processes.
import { randomUUID } from 'node:crypto'
import {
  openBrowser,
  waitFor,
  type Browser,
  type Locator,
  type Page,
  type Route,
} from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chooseAction } from './chooseAction.ts'
import { DUE } from './createTestJobs.ts'
import { expectSeen } from './expectSeen.ts'
import { jobRow } from './jobRow.ts'
import { ODD_KEY } from './fillConsole.ts'
import { findBarriers } from './findBarriers.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer, type Viewer } from './openViewer.ts'

const ACTOR = 'admin@example.com'

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack()])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

// So that all records that a test finds are its own, and none waits for work or a pause that a failed one left.
beforeEach(async () => {
  stack.partner.isDown = true
  await stack.prisma.$executeRaw`delete from "JobWork"`
  await stack.prisma.$executeRaw`delete from "JobQueue"`
  await stack.prisma.jobAction.deleteMany()
  await stack.prisma.jobRun.deleteMany()
  await stack.prisma.$executeRaw`delete from "JobDeadLetter"`
})

describe('running a job', () => {
  it('runs it now, and shows who wanted it and why in the run', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await chooseAction(page, 'countSheep', 'Run now')
    await confirm(page, 'Run now', 'The night was short')
    await page.getByText('A run of countSheep is requested.').waitFor()

    const run = await endedRun('countSheep')
    expect(run).toMatchObject({
      status: 'success',
      trigger: 'manual',
      dryRun: false,
      actor: ACTOR,
      reason: 'The night was short',
      details: { cleaned: 3 },
    })
    expect(await actions()).toEqual([
      { action: 'run', name: 'countSheep', actor: ACTOR, reason: 'The night was short' },
    ])
    await page.getByRole('link', { name: 'Its runs' }).click()
    await page.getByRole('link', { name: 'run of countSheep' }).click()
    await expectFact(page, 'Started by', ACTOR)
    await expectFact(page, 'Reason', 'The night was short')
    await expectFact(page, 'Cleaned', '3')
  })

  it('asks for a reason, and sends nothing without one', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await chooseAction(page, 'countSheep', 'Run now')
    const reason = dialog(page).getByLabel('Reason')
    await dialog(page).getByRole('button', { name: 'Run now' }).click()
    expect(await reason.evaluate((input) => input.matches(':focus:invalid'))).toBe(true)
    await reason.fill('   ')
    await dialog(page).getByRole('button', { name: 'Run now' }).click()
    expect(await reason.evaluate((input) => input.matches(':invalid'))).toBe(true)
    await dialog(page).getByRole('button', { name: 'Cancel' }).click()
    await dialog(page).waitFor({ state: 'detached' })
    expect(await actions()).toEqual([])
  })
})

describe('a payload', () => {
  it('is shown to an owner, on record in the activity of its run, and there is no button for an admin', async () => {
    await using admin = await open('/jobs')
    const { id } = await failGreeting(admin.page)
    await admin.page.getByRole('button', { name: 'Run again' }).waitFor()
    await admin.page.getByText('Attempts at this work').waitFor()
    expect(await admin.page.getByText('Payload', { exact: true }).count()).toBe(0)
    expect(await admin.page.getByRole('button', { name: 'Show payload' }).count()).toBe(0)

    await using owner = await openViewer(browser, stack, { role: 'owner', path: `/runs/${id}` })
    const { page } = owner
    await page.getByRole('button', { name: 'Show payload' }).click()
    await dialog(page).getByText('"customer": "nobody"').waitFor()
    await dialog(page).getByText('That you looked is recorded').waitFor()
    expect(await findBarriers(page)).toEqual([])
    await dialog(page).getByRole('button', { name: 'Close' }).click()
    const activity = page.getByRole('region', { name: 'Activity' })
    await activity.getByText('owner@example.com looked at the payload').waitFor()
    expect(await actions()).toContainEqual({
      action: 'showPayload',
      name: 'greetCustomer',
      actor: 'owner@example.com',
      reason: null,
    })
    await page.getByRole('link', { name: 'Dead letters' }).click()
    await chooseOf(letters(page).first(), 'Show payload')
    await dialog(page).getByText('"customer": "nobody"').waitFor()

    await dialog(page).getByRole('button', { name: 'Copy with changes' }).click()
    const copied = dialog(page).getByLabel('Payload, as JSON')
    await copied.fill('{"customer":7}')
    await dialog(page).getByRole('textbox', { name: 'Reason' }).fill('They have moved')
    await dialog(page).getByRole('button', { name: 'Enqueue the copy' }).click()
    await dialog(page).getByText('customer: ').waitFor()
    expect(await findBarriers(page)).toEqual([])
    await copied.fill('{"customer":"Ada"}')
    await dialog(page).getByRole('button', { name: 'Enqueue the copy' }).click()
    await page.getByText('A copy of', { exact: false }).waitFor()
    expect(await actions()).toContainEqual({
      action: 'run',
      name: 'greetCustomer',
      actor: 'owner@example.com',
      reason: 'They have moved',
    })
  })
})

describe('pausing', () => {
  it('pauses a schedule with a reason and resumes it', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await chooseAction(page, 'countSheep', 'Pause its schedule')
    await confirm(page, 'Pause the schedule', 'The meadow is closed')
    const card = jobRow(page, 'countSheep')
    await card.getByText(`by ${ACTOR}: The meadow is closed`).waitFor()
    expect(await schedule()).toMatchObject({
      pausedAt: expect.any(Date),
      pausedBy: ACTOR,
      pauseReason: 'The meadow is closed',
    })

    await chooseAction(page, 'countSheep', 'Resume its schedule')
    await confirm(page, 'Resume the schedule', 'It is open again')
    await page.getByText('The schedule of countSheep is resumed.').waitFor()
    expect(await schedule()).toMatchObject({ pausedAt: null, pausedBy: null })
    expect(await actions()).toEqual([
      { action: 'pause', name: 'countSheep', actor: ACTOR, reason: 'The meadow is closed' },
      { action: 'resume', name: 'countSheep', actor: ACTOR, reason: 'It is open again' },
    ])
    await page.getByRole('link', { name: 'countSheep', exact: true }).click()
    const log = page.getByRole('region', { name: 'Activity' })
    await expectSeen(log.getByText(`${ACTOR} resumed the schedule: It is open again`))
  })

  it('pauses the queue of a job on its page, which says who did and why, and what waits', async () => {
    await using viewer = await open('/jobs/callPartner')
    const { page } = viewer
    const queue = page.getByRole('region', { name: 'Queue' })
    await chooseAction(page, 'callPartner', 'Pause its queue')
    await confirm(page, 'Pause the queue', 'The partner is away')
    await queue.getByText(`by ${ACTOR} · The partner is away`).waitFor()
    await stack.enqueue('callPartner')
    await page.reload()
    await queue.getByRole('link', { name: '1 waiting' }).waitFor()
    expect(await stack.prisma.jobRun.count()).toBe(0)
    stack.partner.isDown = false
    await page.getByRole('button', { name: 'Resume the queue' }).click()
    await confirm(page, 'Resume the queue')
    await endedRun('callPartner', { status: 'success' })
    await page.getByRole('button', { name: 'Resume the queue' }).waitFor({ state: 'detached' })
  })

  it('limits and cancels the work of a key, whatever that is, and leaves other keys alone', async () => {
    const { prisma } = stack
    await prisma.$executeRaw`insert into "JobLimit" ("name", "order") values ('job:shearSheep', 'fair')`
    await prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "key", "bytes", "payload")
      select gen_random_uuid(), 'shearSheep', key, 2, '{}' from unnest(array[${ODD_KEY}, ${ODD_KEY}, 'farm-1']) key`
    await using viewer = await open('/jobs/shearSheep/keys')
    const { page, complaints } = viewer
    await page.getByRole('link', { name: ODD_KEY }).click()
    await page.getByRole('heading', { name: ODD_KEY }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: ODD_KEY }).waitFor()
    await chooseAction(page, `the key ${ODD_KEY}`, 'Limit')
    await dialog(page).getByLabel('At once').fill('1')
    await confirm(page, 'Set the limit', 'They are slow')
    await page.getByText('1; in the code any number').waitFor()
    await page.getByText('They are slow').waitFor()
    expect(await prisma.$queryRaw`select "key", "perKey" from "JobKey"`).toEqual([
      { key: ODD_KEY, perKey: 1 },
    ])
    await page.getByRole('link', { name: '2', exact: true }).click()
    await page.getByRole('button', { name: 'Cancel all 2' }).click()
    await dialog(page).getByText(`2 pieces of waiting work of shearSheep with the key`).waitFor()
    await confirm(page, 'Cancel 2', 'They have left')
    await page.getByText('2 pieces of work are cancelled.').waitFor()
    expect(await prisma.$queryRaw`select "key" from "JobWork"`).toEqual([{ key: 'farm-1' }])
    expect(complaints).toEqual([])
    for (const table of ['JobLimit', 'JobWork', 'JobKey'])
      await prisma.$executeRawUnsafe(`delete from "${table}" where "name" like '%shearSheep'`)
  })
})

describe('a run under way', () => {
  it('is cancelled', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await chooseAction(page, 'walkSteps', 'Run now')
    await confirm(page, 'Run now', 'For a walk')
    const { id } = await waitFor(() =>
      stack.prisma.jobRun.findFirst({ where: { name: 'walkSteps', status: 'running' } }),
    )
    await page.goto(`/console/runs/${id}`)
    await page.getByRole('button', { name: 'Cancel', exact: true }).click()
    await confirm(page, 'Cancel the run', 'It rains')
    await page.getByText('cancelled', { exact: true }).first().waitFor()
    // The run keeps the reason for which it was started; why it was cancelled is another.
    await expectFact(page, 'Reason', 'For a walk')
    const step = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem')
    await step.filter({ hasText: 'Asked to stop' }).getByText(`by ${ACTOR}: It rains`).waitFor()
    expect(await endedRun('walkSteps')).toMatchObject({
      status: 'failed',
      cancelRequestedBy: ACTOR,
      details: { error: { code: 'cancelled' } },
    })
    expect(await actions()).toContainEqual({
      action: 'cancel',
      name: 'walkSteps',
      actor: ACTOR,
      reason: 'It rains',
    })
    // Nobody needs to be told of it: somebody cancelled it.
    await page.getByRole('link', { name: 'Overview' }).click()
    await expectSeen(page.getByText('Nothing needs you'))
  })
})

describe('a blocked run', () => {
  it('is approved with the number at stake, once', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    await chooseAction(page, 'pruneRows', 'Run now')
    await confirm(page, 'Run now', 'A lot has come together')
    const blocked = await endedRun('pruneRows')
    expect(blocked).toMatchObject({ details: { error: { code: 'guard_blocked' } } })

    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByRole('button', { name: 'Approve: pruneRows' }).click()
    const number = `${DUE.toLocaleString('en')} rows`
    await dialog(page).getByText(`${number} were due.`).waitFor()
    await confirm(page, `Approve ${number}`, 'Counted by hand')
    const after = await endedRun('pruneRows', { id: { not: blocked.id } })
    expect(after).toMatchObject({
      status: 'success',
      actor: ACTOR,
      reason: 'Counted by hand',
      details: { cleaned: DUE },
    })
    expect(await stack.prisma.jobRun.findUnique({ where: { id: blocked.id } })).toMatchObject({
      approvedBy: ACTOR,
      approvedAt: expect.any(Date),
    })
    expect(await actions()).toContainEqual({
      action: 'approve',
      name: 'pruneRows',
      actor: ACTOR,
      reason: 'Counted by hand',
    })
    await page.goto(`/console/runs/${blocked.id}`)
    await page.getByText('It was approved').waitFor()
    expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0)
  })

  it('is approved by one of two, and the other learns who was faster and can ask no more', async () => {
    await stack.enqueue('pruneRows')
    const { id } = await endedRun('pruneRows')
    await using viewer = await open(`/runs/${id}`)
    const { page } = viewer
    await page.getByRole('button', { name: 'Approve' }).click()
    {
      await using other = await openViewer(browser, stack, { role: 'owner', path: `/runs/${id}` })
      await other.page.getByRole('button', { name: 'Approve' }).click()
      await confirm(other.page, `Approve ${DUE.toLocaleString('en')} rows`, 'I was here first')
      await other.page.getByText('It was approved').waitFor()
    }
    await dialog(page).getByLabel('Reason').fill('Counted as well')
    await dialog(page)
      .getByRole('button', { name: /^Approve/ })
      .click()
    const told = dialog(page).getByRole('alert')
    await told.getByText('Already approved by owner@example.com').waitFor()
    await told.getByText('I was here first').waitFor()
    expect(await dialog(page).getByRole('button').allTextContents()).toEqual(['Close'])
    await dialog(page).getByRole('button', { name: 'Close' }).click()
    await page.getByText('It was approved').waitFor()
    expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0)
  })
})

describe('dead letters', () => {
  it('is retried, one of two', async () => {
    const [first, second] = [await failOnce(), await failOnce()]
    stack.partner.isDown = false
    await using viewer = await open('/dead-letters')
    const { page } = viewer
    await letters(page).nth(1).waitFor()
    // The latest comes first.
    await chooseOf(letters(page).nth(1), 'Retry')
    await confirm(page, 'Retry', 'They answer again')
    await page.getByText('It is back in the queue.').waitFor()
    const again = await endedRun('callPartner', { attempt: 2 })
    expect(again).toMatchObject({
      workId: first.workId,
      status: 'success',
      actor: ACTOR,
      reason: 'They answer again',
    })
    await letters(page).nth(1).waitFor({ state: 'detached' })
    expect(await letters(page).count()).toBe(1)
    expect(await actions()).toContainEqual({
      action: 'redrive',
      name: 'callPartner',
      actor: ACTOR,
      reason: 'They answer again',
    })

    await chooseOf(letters(page), 'Discard')
    await confirm(page, 'Discard for good', 'It was called by telephone')
    await page.getByText('No dead letters').waitFor()
    expect(await actions()).toContainEqual({
      action: 'discard',
      name: 'callPartner',
      actor: ACTOR,
      reason: 'It was called by telephone',
    })
    await page.goto(`/console/runs/${second.id}`)
    const log = page.getByRole('region', { name: 'Activity' })
    await log.getByText(`${ACTOR} discarded it: It was called by telephone`).waitFor()
  })

  it('are retried that have ended workers only once somebody wants that, too', async () => {
    const workId = randomUUID()
    await stack.prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "losses", "label", "bytes", "payload", "errorCode", "errorMessage")
      values (${workId}::uuid, 'greetCustomer', 5, 'Poster 905', 2, '{}', 'worker_lost', 'Worker w died')`
    await stack.prisma.$executeRaw`
      insert into "JobQueue" ("name", "pausedBy") values ('greetCustomer', 'somebody')`
    await using viewer = await open('/dead-letters')
    const { page } = viewer
    await chooseOf(letters(page), 'Retry')
    await dialog(page).getByLabel('Reason').fill('there is more memory')
    const retry = dialog(page).getByRole('button', { name: 'Retry' })
    await retry.click()
    const warning = dialog(page).getByLabel(
      /^Poster 905 has ended 5 workers, .* may end another\.$/,
    )
    expect(await warning.and(page.locator(':invalid')).count()).toBe(1)
    expect(await findBarriers(page)).toEqual([])
    expect(await stack.prisma.$queryRaw<[]>`select from "JobDeadLetter"`).toHaveLength(1)
    await warning.check()
    await retry.click()
    await page.getByText('It is back in the queue').waitFor()
    expect(await stack.prisma.$queryRaw<[]>`select from "JobWork"`).toHaveLength(1)
    await stack.prisma.$executeRaw`delete from "JobWork"`
    await stack.prisma.$executeRaw`delete from "JobQueue"`
  })
})

describe('waiting work', () => {
  it('is held by a queue that is paused, changed piece by piece, and recorded', async () => {
    stack.partner.isDown = false
    await using viewer = await open('/queues')
    const { page } = viewer
    await pauseQueue(page, 'callPartner')
    await expectSeen(page.getByText(`by ${ACTOR} · The partner is away`))
    for (let n = 0; n < 4; n += 1) await stack.enqueue('callPartner')
    await page.goto('/console/waiting')
    const work = waitingRows(page)
    await work.nth(3).waitFor()
    expect(await stack.prisma.jobRun.count()).toBe(0)
    expect(await findBarriers(page)).toEqual([])

    await chooseOf(work.first(), 'Postpone')
    await dialog(page).getByLabel('Not before').selectOption('1 day from now')
    await confirm(page, 'Postpone', 'Not today')
    const later = work.filter({ hasText: /in 23 h|in 1 d/ })
    await later.waitFor()
    await chooseOf(work.first(), 'Change the priority')
    await dialog(page).getByLabel('Priority').fill('7')
    await confirm(page, 'Change the priority', 'It is urgent')
    await work.getByRole('cell', { name: '7', exact: true }).waitFor()
    await chooseOf(later, 'Start now')
    await confirm(page, 'Start now', 'They are back')
    await later.waitFor({ state: 'detached' })
    await chooseOf(work.first(), 'Cancel')
    await confirm(page, 'Cancel the work', 'They know already')
    await work.nth(3).waitFor({ state: 'detached' })

    await page.goto('/console/queues')
    await resumeQueue(page, 'callPartner')
    await waitFor(
      async () => (await stack.prisma.jobRun.count({ where: { status: 'success' } })) === 3,
    )
    expect((await actions()).map(({ action, reason }) => `${action}: ${reason}`)).toEqual([
      'pauseQueue: The partner is away',
      'resumeQueue: null',
    ])
    expect(await bulkActs()).toEqual([
      { kind: 'postponeWork', done: 1, actor: ACTOR, reason: 'Not today' },
      { kind: 'prioritiseWork', done: 1, actor: ACTOR, reason: 'It is urgent' },
      { kind: 'postponeWork', done: 1, actor: ACTOR, reason: 'They are back' },
      { kind: 'cancelWork', done: 1, actor: ACTOR, reason: 'They know already' },
    ])
  })

  it('starts now by any browser’s clock, and is changed once: by two clicks, after Escape, and instead of a reload', async () => {
    await using viewer = await open('/queues', async (page) => {
      await page.addInitScript('{ const now = Date.now; Date.now = () => now() + 2_500 }')
    })
    const { page } = viewer
    await pauseQueue(page, 'callPartner')
    for (let n = 0; n < 2; n += 1) await stack.enqueue('callPartner')
    await page.goto('/console/waiting')
    const work = waitingRows(page)
    await work.nth(1).waitFor()
    await page.getByLabel('Select all').check()
    await page.getByRole('button', { name: 'Postpone 2' }).click()
    await confirm(page, 'Postpone 2', 'Not today')
    await notice(page, '2 pieces of work are postponed.').waitFor()
    await chooseOf(work.first(), 'Start now')
    await confirm(page, 'Start now', 'They are back')
    await notice(page, '1 piece of work is due now.').waitFor()

    const held = Promise.withResolvers<() => Promise<void>>()
    let sent = 0
    await page.route('**/api/jobs/bulk', async (route) => {
      sent += 1
      if (sent > 1) await route.continue()
      else held.resolve(() => route.fulfill({ status: 500 }))
    })
    await chooseOf(work.first(), 'Change the priority')
    await dialog(page).getByLabel('Reason').fill('It is urgent')
    await dialog(page).getByLabel('Priority').fill('7')
    const button = dialog(page).getByRole('button', { name: 'Change the priority' })
    await button.evaluate((element) => {
      element.click()
      element.click()
    })
    const fail = await held.promise
    await fail()
    await dialog(page).getByRole('alert').waitFor()
    expect(sent).toBe(1)
    await dialog(page).getByLabel('Priority').fill('9')
    await button.click()
    await work.getByRole('cell', { name: '9', exact: true }).waitFor()
    expect(sent).toBe(2)

    await page.getByLabel('Select all').check()
    await page.getByRole('button', { name: 'Cancel 2', exact: true }).click()
    await stack.prisma.$executeRaw`delete from "JobWork" where "rank" = -9`
    await confirm(page, 'Cancel 2', 'They know already')
    await notice(page, '1 piece of work is cancelled; 1 had already started.').waitFor()
    await page.goto('/console/queues')
    await resumeQueue(page, 'callPartner')
  })

  it('is selected by keyboard, and changed as a whole: all that match, of several jobs', async () => {
    await using viewer = await open('/queues')
    const { page } = viewer
    for (const name of ['callPartner', 'countSheep']) await pauseQueue(page, name)
    for (let n = 0; n < 15; n += 1) {
      await stack.enqueue('callPartner')
      await stack.enqueue('countSheep')
    }
    // A job that has left the catalogue leaves its work behind.
    await stack.prisma.$executeRaw`
      insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt")
      values (gen_random_uuid(), 'shearSheep', 2, '{}', null, now() + interval '1 minute')`
    await page.goto('/console/waiting')
    const work = waitingRows(page)
    await work.nth(19).waitFor()
    await work.first().getByRole('link', { name: 'Why this work' }).focus()
    await page.keyboard.press('x')
    await page.keyboard.press('j')
    await page.keyboard.press('x')
    await page.getByText('2 selected').waitFor()
    await page.getByRole('button', { name: 'Change the priority of 2' }).click()
    await dialog(page).getByLabel('Priority').fill('7')
    await confirm(page, 'Change the priority of 2', 'They are urgent')
    await notice(page, 'The priority of 2 pieces of work is changed.').waitFor()
    expect(await countWaiting('"rank" = -7')).toBe(2)

    await chooseAll(page, 'Postpone all 31')
    await confirm(page, 'Postpone 31', 'Not today')
    await notice(page, '31 pieces of work are postponed.').waitFor()
    expect(await countWaiting(`"dueAt" > now() + interval '10 minutes'`)).toBe(31)
    await page.getByLabel('Job', { exact: true }).selectOption('shearSheep')
    await page.waitForURL('**/waiting?name=shearSheep')
    await work.getByRole('link', { name: 'shearSheep', exact: true }).waitFor()

    await page.goto('/console/waiting?name=callPartner')
    await work.nth(14).waitFor()
    await page.getByRole('button', { name: 'Cancel all 15' }).click()
    await dialog(page)
      .getByText('15 pieces of waiting work of callPartner leave the queue')
      .waitFor()
    await confirm(page, 'Cancel 15', 'Nobody wants it')
    await notice(page, '15 pieces of work are cancelled.').waitFor()
    await page.getByText('No waiting work matches').waitFor()
    // What acts on all stays where it is when the queue has drained.
    expect(await page.getByRole('button', { name: 'Cancel all 0' }).isDisabled()).toBe(true)
    expect(await countWaiting('true')).toBe(16)

    await stack.prisma.$executeRaw`delete from "JobWork"`
    await page.goto('/console/queues')
    for (const name of ['callPartner', 'countSheep']) await resumeQueue(page, name)
    const counts = Map.groupBy(await actions(), ({ action }) => action)
    expect([...counts].map(([action, { length }]) => [action, length])).toEqual([
      ['pauseQueue', 2],
      ['resumeQueue', 2],
    ])
    expect((await bulkActs()).map(({ kind, done }) => [kind, done])).toEqual([
      ['prioritiseWork', 2],
      ['postponeWork', 31],
      ['cancelWork', 15],
    ])
  })
})

it('of a customer who floods the queue is found by its share, and cancelled as a whole', async () => {
  await stack.prisma.$executeRaw`
    insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt", "label", "facts")
    select gen_random_uuid(), 'greetCustomer', 2, '{}', null, now() + interval '1 hour', 'Greeting of ' || customer,
           jsonb_build_object('shown', jsonb_build_object('customer', customer))
    from generate_series(1, 100) n cross join lateral (select case when n <= 3 then 'Bakery' else 'Circus' end as customer) one`
  await using viewer = await open('/waiting')
  const { page, complaints } = viewer
  const waiting = page.getByRole('main')
  const byLabel = waiting.getByRole('group', { name: 'By label' })
  await byLabel.getByRole('link', { name: 'Greeting of Circus · 97 (97 %)' }).waitFor()
  await byLabel.getByRole('link', { name: 'Greeting of Bakery · 3 (3 %)' }).waitFor()
  // How many match of another filter says nothing of this one.
  const answer = Promise.withResolvers<void>()
  await page.route(
    ({ pathname }) => pathname === '/api/jobs/work',
    async (route) => {
      await answer.promise
      await route.continue()
    },
  )
  const job = waiting.getByLabel('Job', { exact: true })
  await job.selectOption('greetCustomer')
  await waiting.locator('.isDim').first().waitFor()
  expect(await waiting.getByRole('button', { name: 'Cancel all 0' }).isDisabled()).toBe(true)
  answer.resolve()
  await waiting.getByRole('button', { name: 'Cancel all 100' }).waitFor()
  await job.selectOption('')
  await waiting
    .getByRole('group', { name: 'By customer' })
    .getByRole('link', { name: 'Circus · 97 (97 %)' })
    .click()
  await page.waitForURL('**/waiting?field=customer&value=Circus')
  await waiting.getByRole('button', { name: 'Cancel all 97' }).click()
  await dialog(page)
    .getByText('97 pieces of waiting work of greetCustomer with customer Circus leave the queue')
    .waitFor()
  await confirm(page, 'Cancel 97', 'They flood us')
  await notice(page, '97 pieces of work are cancelled.').waitFor()
  expect(await countWaiting('true')).toBe(3)

  await stack.prisma.$executeRaw`
    insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt", "label")
    select gen_random_uuid(), 'greetCustomer', 2, '{}', null, now() + n * interval '1 day', 'In ' || n || ' days' from generate_series(1, 25) n`
  await page.goto('/console/waiting?name=greetCustomer')
  await waitingRows(page).nth(0).getByText('Bakery').waitFor()
  await waiting.getByLabel('Order').selectOption('Last to start')
  await page.waitForURL('**/waiting?name=greetCustomer&order=last')
  await waitingRows(page).nth(0).getByText('In 25 days').waitFor()
  await waiting.getByRole('link', { name: 'Due earlier' }).click()
  await waitingRows(page).nth(0).getByText('In 5 days').waitFor()
  expect(await waitingRows(page).count()).toBe(8)

  await waiting.getByLabel('Find by').selectOption('customer')
  await waiting.getByLabel('Value').fill('Bakery')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/waiting?name=greetCustomer&field=customer&value=Bakery&order=last')
  await waitFor(async () => (await waitingRows(page).count()) === 3)

  await waiting.getByLabel('Order').selectOption('First to start')
  await page.waitForURL('**/waiting?name=greetCustomer&field=customer&value=Bakery')
  expect(await findBarriers(page)).toEqual([])
  expect(complaints).toEqual([])
  await stack.prisma.$executeRaw`delete from "JobWork"`
})

async function pauseQueue(page: Page, name: string): Promise<void> {
  const menu = page.getByRole('button', { name: `Actions for the queue of ${name}` })
  const fold = page.getByRole('button', { name: /^Show \d+ quiet queues$/ })
  await menu.or(fold).first().waitFor()
  if (!(await menu.isVisible())) await fold.click()
  await chooseAction(page, `the queue of ${name}`, 'Pause the queue')
  await confirm(page, 'Pause the queue', 'The partner is away')
  await page.getByText(`The queue of ${name} is paused.`).waitFor()
}

async function resumeQueue(page: Page, name: string): Promise<void> {
  await chooseAction(page, `the queue of ${name}`, 'Resume the queue')
  await confirm(page, 'Resume the queue')
  await page.getByText(`The queue of ${name} is resumed.`).waitFor()
}

/** Chooses in the menu of a row. */
async function chooseOf(of: Locator, item: string): Promise<void> {
  await of.getByRole('button', { name: /^Actions for/ }).click()
  await of.getByRole('menuitem', { name: item, exact: true }).click()
}

/** Chooses in the menu of what is done with all that match. */
async function chooseAll(page: Page, item: string): Promise<void> {
  await page.getByRole('button', { name: 'More actions on all that match' }).click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

function waitingRows(page: Page): Locator {
  return page
    .getByRole('table', { name: 'Waiting work' })
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader') })
}

async function countWaiting(condition: string): Promise<number> {
  const [counted] = await stack.prisma.$queryRawUnsafe<{ count: number }[]>(
    `select count(*)::int as count from "JobWork" where ${condition}`,
  )
  return counted?.count ?? 0
}

describe('many dead letters', () => {
  /** Adds dead letters as a worker leaves them, more than fit a page. */
  async function giveUpMany(count: number): Promise<void> {
    const { workId } = await failOnce()
    await waitFor(async () => (await countFailed()) === 1, { message: 'A dead letter' })
    await stack.prisma.$executeRaw`
      insert into "JobDeadLetter"
      select (jsonb_populate_record(letter, jsonb_build_object('id', gen_random_uuid(), 'failedAt', letter."failedAt" - n * interval '1 s')
        || case when n % 2 = 0 then '{}' else '{"errorCode": "ECONNREFUSED", "errorMessage": "connect"}'::jsonb end)).*
      from "JobDeadLetter" letter, generate_series(1, ${count - 1}::int) n where letter."id" = ${workId}::uuid`
  }

  it('are discarded by their cause: all that match, with the number stated before', async () => {
    await giveUpMany(121)
    await using viewer = await open('/dead-letters')
    const { page } = viewer
    await page.getByRole('link', { name: 'ECONNREFUSED · 60' }).click()
    await page.waitForURL('**/dead-letters?errorCode=ECONNREFUSED')
    const others = page.getByRole('row').filter({ hasText: 'partner_down' })
    await waitFor(async () => (await others.count()) === 0)
    await page.getByRole('button', { name: 'Discard all 60' }).click()
    await dialog(page)
      .getByText('60 dead letters that failed with ECONNREFUSED are removed for good')
      .waitFor()
    await confirm(page, 'Discard 60 for good', 'Nobody waits for them')
    await notice(page, '60 dead letters are discarded.').waitFor()
    await page.getByText('No dead letters match').waitFor()
    expect(await countFailed()).toBe(61)
    expect(await actions()).toEqual([])
    await page.goto('/console/jobs/callPartner')
    await page.getByText('discarded it, as one of 60: Nobody waits for them').waitFor()
  })

  it('are done by a thousand, and left as they are when the page is closed or somebody stops it', async () => {
    await giveUpMany(3_100)
    /** Begins with all of them, and holds the second call. */
    async function begin(page: Page, number: string) {
      const held = Promise.withResolvers<Route>()
      let sent = 0
      await page.route('**/api/jobs/bulk', async (route) => {
        sent += 1
        if (sent === 2) held.resolve(route)
        else await route.continue()
      })
      await page.getByRole('button', { name: `Discard all ${number}` }).click()
      await confirm(page, `Discard ${number} for good`, 'Nobody waits for them')
      return await held.promise
    }
    {
      await using viewer = await open('/dead-letters?name=callPartner')
      const call = await begin(viewer.page, '3,100')
      await dialog(viewer.page).getByText('1,000 of 3,100 · 32 %').waitFor()
      await call.abort()
      await dialog(viewer.page).getByRole('button', { name: 'Continue' }).waitFor()
    }
    expect(await countFailed()).toBe(2_100)
    await using later = await open('/dead-letters?name=callPartner')
    const call = await begin(later.page, '2,100')
    expect(await findBarriers(later.page)).toEqual([])
    await dialog(later.page).getByRole('button', { name: 'Stop' }).click()
    await call.continue()
    await notice(later.page, '2,000 dead letters are discarded; 100 not changed.').waitFor()
    expect(await countFailed()).toBe(100)
  })
})

describe('many runs', () => {
  it('are cancelled where they are under way, and retried where they were given up', async () => {
    const failed = await failOnce()
    await stack.enqueue('walkSteps')
    const running = await waitFor(() =>
      stack.prisma.jobRun.findFirst({ where: { name: 'walkSteps', status: 'running' } }),
    )
    await using viewer = await open('/runs')
    const { page } = viewer
    await row(page, 'callPartner').getByRole('checkbox').check()
    await row(page, 'walkSteps').getByRole('checkbox').check()
    await page.getByText('2 selected').waitFor()
    await page.getByRole('button', { name: 'Cancel 1 running' }).click()
    await confirm(page, 'Cancel 1 run', 'It rains')
    await notice(page, '1 run is asked to stop.').waitFor()
    expect(await endedRun('walkSteps')).toMatchObject({ id: running.id, errorCode: 'cancelled' })
    await row(page, 'walkSteps').getByText('Cancelled', { exact: true }).waitFor()

    stack.partner.isDown = false
    await row(page, 'walkSteps').getByRole('checkbox').uncheck()
    await page.getByRole('button', { name: 'Retry dead letters: 1' }).click()
    await dialog(page).getByText('goes back into the queue if it is still a dead letter').waitFor()
    await confirm(page, 'Retry', 'They are back')
    expect(await endedRun('callPartner', { attempt: 2 })).toMatchObject({
      workId: failed.workId,
      status: 'success',
    })
  })
})

it('runs that match are retried: all whose work was given up, with the number stated', async () => {
  const { workId } = await failOnce()
  await waitFor(async () => (await countFailed()) === 1, { message: 'A dead letter' })
  // As a worker leaves them, more than a page: each of the dead letters has two runs, and other runs left none.
  await stack.prisma.$executeRaw`
    insert into "JobDeadLetter"
    select (jsonb_populate_record(letter, jsonb_build_object(
      'id', gen_random_uuid(), 'failedAt', letter."failedAt" - n * interval '1 s'))).*
    from "JobDeadLetter" letter, generate_series(1, 39) n where letter."id" = ${workId}::uuid`
  await stack.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "errorCode", "trigger", "workerId", "startedAt", "endedAt", "workId")
    select gen_random_uuid(), 'callPartner', 'failed', 'partner_down', 'queue', 'w1', now() - interval '1 min', now(), work."id"
    from (
      select "id" from "JobDeadLetter", generate_series(1, 2) where "id" <> ${workId}::uuid
      union all select gen_random_uuid() from generate_series(1, 5)
    ) work`
  await stack.prisma.$executeRaw`
    insert into "JobQueue" ("name", "pausedBy") values ('callPartner', 'somebody')`
  await using viewer = await open('/runs?errorCode=partner_down')
  const { page } = viewer
  await page.getByRole('button', { name: 'Retry all dead letters: 40' }).click()
  await dialog(page)
    .getByText('40 dead letters of the runs that match go back into the queue')
    .waitFor()
  await confirm(page, 'Retry 40', 'They answer again')
  await notice(page, '40 dead letters are back in the queue.').waitFor()
  expect(await countFailed()).toBe(0)
  await stack.prisma.$executeRaw`delete from "JobWork"`
  await stack.prisma.$executeRaw`delete from "JobQueue"`
})

async function countFailed(): Promise<number> {
  const [counted] = await stack.prisma.$queryRaw<{ count: number }[]>`
    select count(*)::int as count from "JobDeadLetter"`
  return counted?.count ?? 0
}

describe('the focus, after an action without the mouse', () => {
  it('is at the first action of the page once the button is gone that it was on', async () => {
    await using viewer = await open('/jobs/countSheep')
    const { page } = viewer
    await chooseAction(page, 'countSheep', 'Pause its schedule')
    await confirmByKey(page, 'The meadow is closed')
    await expectFocus(page.getByRole('button', { name: 'Actions for countSheep' }))
    await press(page.getByRole('button', { name: 'Resume the schedule' }))
    await confirmByKey(page, 'It is open again')
    await expectFocus(page.getByRole('button', { name: 'Run now' }))
  })

  it('is at the dots of the row whose menu it was chosen from', async () => {
    await using viewer = await open('/jobs')
    const { page } = viewer
    const dots = page.getByRole('button', { name: 'Actions for countSheep' })
    await press(dots)
    const items = page.getByRole('menu').getByRole('menuitem')
    await expectFocus(items.first())
    await page.keyboard.press('ArrowUp')
    await expectFocus(items.last())
    await page.keyboard.press('Escape')
    await expectFocus(dots)
    await press(dots)
    await expectFocus(items.first())
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await confirmByKey(page, 'To see the number')
    await expectFocus(dots)
  })

  it('is at the heading of the list that the thing has gone from', async () => {
    await failOnce()
    await failOnce()
    await using viewer = await open('/dead-letters?name=callPartner')
    const { page } = viewer
    await letters(page).nth(1).waitFor()
    for (const left of [1, 0]) {
      await chooseOf(letters(page).first(), 'Discard')
      await confirmByKey(page, 'It was called by telephone')
      await letters(page).nth(left).waitFor({ state: 'detached' })
      await expectFocus(page.getByRole('heading', { name: 'Dead letters' }))
    }
    // The next Tab goes on from there.
    await page.keyboard.press('Tab')
    await expectFocus(page.getByLabel('Job', { exact: true }))
  })

  it('is at the heading of what needs attention, once that does no more', async () => {
    await stack.enqueue('pruneRows')
    await endedRun('pruneRows')
    await using viewer = await open('/')
    const { page } = viewer
    await press(page.getByRole('button', { name: 'Approve: pruneRows' }))
    await confirmByKey(page, 'Counted by hand')
    await expectFocus(page.getByRole('heading', { name: 'Needs attention' }))
  })

  it('stays nowhere for who has clicked beside everything', async () => {
    await failOnce()
    await using viewer = await open('/dead-letters')
    const { page } = viewer
    const button = letters(page)
      .first()
      .getByRole('button', { name: /^Actions for/ })
    await button.focus()
    await page.getByRole('main').click({ position: { x: 2, y: 2 } })
    await stack.prisma.$executeRaw`delete from "JobDeadLetter"`
    await stack.enqueue('countSheep')
    await page.getByText('No dead letters').waitFor()
    expect(await page.locator('h2:focus').count()).toBe(0)
  })
})

async function press(button: Locator): Promise<void> {
  await button.focus()
  await button.press('Enter')
}

async function confirmByKey(page: Page, reason: string): Promise<void> {
  await dialog(page).getByLabel('Reason').fill(reason)
  // Until the server has said what the job takes, Enter does nothing.
  await dialog(page).locator('button[type="submit"]:enabled').waitFor()
  await page.keyboard.press('Enter')
  await dialog(page).waitFor({ state: 'detached' })
}

async function expectFocus(element: Locator): Promise<void> {
  await expectSeen(element.and(element.page().locator(':focus')))
}

function open(path: string, prepare?: (page: Page) => Promise<void>): Promise<Viewer> {
  return openViewer(browser, stack, { role: 'admin', path, ...(prepare && { prepare }) })
}

function dialog(page: Page): Locator {
  return page.getByRole('dialog')
}

async function confirm(page: Page, button: string, reason?: string): Promise<void> {
  if (reason !== undefined) await dialog(page).getByLabel('Reason').fill(reason)
  await dialog(page).getByRole('button', { name: button, exact: true }).click()
}

/** What came of an action. The list of what is done to many may say it as well. */
function notice(page: Page, text: string): Locator {
  return page.getByRole('status').getByText(text, { exact: true })
}

function row(page: Page, name: string): Locator {
  return page.getByRole('row').filter({ hasText: name })
}

function letters(page: Page): Locator {
  return page
    .getByRole('table', { name: 'Dead letters' })
    .getByRole('row')
    .filter({
      has: page.getByRole('rowheader'),
    })
}

async function expectFact(page: Page, term: string, value: string): Promise<void> {
  const fact = page.locator('dl > div').filter({ has: page.getByText(term, { exact: true }) })
  await fact.getByText(value, { exact: true }).waitFor()
}

function endedRun(name: string, where: object = {}) {
  return waitFor(
    () => stack.prisma.jobRun.findFirst({ where: { name, status: { not: 'running' }, ...where } }),
    { message: `A run of ${name} that has ended` },
  )
}

/** Has work of `callPartner` given up. */
async function failOnce() {
  const before = await stack.prisma.jobRun.findMany({ select: { id: true } })
  await stack.enqueue('callPartner')
  return await endedRun('callPartner', { id: { notIn: before.map(({ id }) => id) } })
}

/** Leaves the page at the run. */
async function failGreeting(page: Page) {
  await chooseAction(page, 'greetCustomer', 'Run now')
  await dialog(page).getByLabel('Payload, as JSON').fill('{"customer":"nobody"}')
  await confirm(page, 'Run now', 'They are rude')
  const failed = await endedRun('greetCustomer', { status: 'failed' })
  await page.goto(`/console/runs/${failed.id}`)
  return failed
}

async function schedule() {
  return await stack.prisma.jobSchedule.findUniqueOrThrow({
    where: { name_key: { name: 'countSheep', key: '' } },
  })
}

async function bulkActs() {
  return await stack.prisma.$queryRaw<
    { kind: string; done: number; actor: string; reason: string }[]
  >`select "action" as "kind", sum(cardinality("pieces"))::int as "done", "actor", "reason" from "JobAction"
    where "pieces" is not null group by "at", 1, 3, 4 order by "at"`
}

async function actions() {
  return await stack.prisma.$queryRaw<
    { action: string; name: string; actor: string; reason: string | null }[]
  >`select "action", "name", "actor", "reason" from "JobAction" where "pieces" is null order by "at"`
}
