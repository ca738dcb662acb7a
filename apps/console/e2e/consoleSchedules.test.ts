// Not quick: starts processes.
import { openBrowser, waitFor, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { chooseAction } from './chooseAction.ts'
import { expectSeen } from './expectSeen.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer } from './openViewer.ts'

const JOB = 'greetCustomer'
const OF_JOB = `/jobs/${JOB}/schedules`

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack()])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

beforeEach(async () => {
  await stack.prisma.jobAction.deleteMany()
  await stack.prisma.$executeRaw`delete from "JobSchedule" where "key" <> ''`
})

const job = () => stack.jobs.find(({ name }) => name === JOB) as never
const stored = () =>
  stack.prisma.$queryRaw<object[]>`
    select "key", "cron", "timeZone", "version", "payload", "pausedBy" from "JobSchedule" where "key" <> '' order by "key"`

const make = (key: string) =>
  stack.schedules.upsert(null, job(), {
    key,
    cron: '0 9 * * 1',
    timeZone: 'Asia/Tokyo',
    payload: { customer: 'A bakery' },
  } as never)

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const nextRuns = (page: Page) => page.getByRole('region', { name: 'Next runs' })

async function confirm(page: Page, button: string, reason: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Reason').fill(reason)
  await dialog.getByRole('button', { name: button }).click()
}

it('is made by a form, which shows its next ten runs on both clocks while one types', async () => {
  await using viewer = await openViewer(browser, stack, { role: 'admin', path: `/jobs/${JOB}` })
  const { page } = viewer
  await chooseAction(page, JOB, 'Add a schedule by key')
  await page.getByRole('textbox', { name: 'Key' }).fill('customer/7')
  await page.getByLabel('When, as a cron expression').fill('0 9 * * 1')
  await page.getByLabel('Time zone').fill('Asia/Tokyo')
  const rows = nextRuns(page).getByRole('row')
  await waitFor(async () => (await rows.count()) === 11)
  await expectSeen(nextRuns(page).getByText('Asia/Tokyo'))
  // Tokyo is eight hours ahead of Berlin in winter and seven in summer.
  expect(await rows.nth(1).textContent()).toMatch(/^Mon .*, 09:00 \+09:00Mon .*, 0[12]:00$/)

  await page.getByLabel('When, as a cron expression').fill('61 9 * * 1')
  await expectSeen(page.getByText('is not a cron expression'))
  await page.getByLabel('When, as a cron expression').fill('0 9 * * 1')
  await page.getByLabel('Reason').fill('They asked')
  await press(page, 'Add it')
  await expectSeen(page.getByText('customer: '))
  await page.getByLabel('Payload, as JSON').fill('{"customer":"A bakery"}')
  await press(page, 'Add it')

  await page.getByRole('heading', { name: 'customer/7', level: 1 }).waitFor()
  await expectSeen(page.getByText('At 09:00, only on Monday'))
  expect(await stored()).toEqual([
    {
      key: 'customer/7',
      cron: '0 9 * * 1',
      timeZone: 'Asia/Tokyo',
      version: 1,
      payload: { customer: 'A bakery' },
      pausedBy: null,
    },
  ])
})

it('is changed without its payload, and refused to who comes second', async () => {
  await make('customer-1')
  await using viewer = await openViewer(browser, stack, {
    role: 'admin',
    path: `${OF_JOB}/customer-1`,
  })
  const { page } = viewer
  await chooseAction(page, 'customer-1', 'Change')
  await page.getByLabel('When, as a cron expression').fill('30 8 * * 1')
  await page.getByLabel('Reason').fill('Half an hour earlier')
  await press(page, 'Save')
  await expectSeen(page.getByText('30 8 * * 1 in Asia/Tokyo, before: 0 9 * * 1'))
  expect(await stored()).toMatchObject([{ version: 2, payload: { customer: 'A bakery' } }])

  await chooseAction(page, 'customer-1', 'Change')
  await page.getByLabel('When, as a cron expression').fill('0 7 * * 1')
  await page.getByLabel('Reason').fill('Earlier still')
  await make('customer-1')
  await press(page, 'Save')
  await expectSeen(page.getByText('Somebody has changed or deleted this schedule meanwhile'))
  expect(await stored()).toMatchObject([{ version: 3, cron: '0 9 * * 1' }])
})

it('is found, paused, resumed, run now and deleted, each on record', async () => {
  for (const key of ['bakery', 'brewery', 'customer-1']) await make(key)
  await using viewer = await openViewer(browser, stack, { role: 'admin', path: OF_JOB })
  const { page } = viewer
  await page.getByLabel('Key begins with').fill('b')
  await page.getByRole('link', { name: 'customer-1' }).waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'brewery' }).click()

  await chooseAction(page, 'brewery', 'Pause')
  await confirm(page, 'Pause the schedule', 'They move')
  await expectSeen(page.getByText('They move').first())
  await press(page, 'Resume')
  await confirm(page, 'Resume the schedule', '')
  await expectSeen(nextRuns(page).getByText('Asia/Tokyo'))
  await press(page, 'Run now')
  await confirm(page, 'Run now', 'To see it')
  await waitFor(() =>
    stack.prisma.jobRun.findFirst({ where: { name: JOB, status: 'success', reason: 'To see it' } }),
  )
  await chooseAction(page, 'brewery', 'Delete')
  await confirm(page, 'Delete the schedule', 'They left')
  await expectSeen(page.getByText('This schedule was deleted'))

  const done = await stack.prisma.jobAction.findMany({ orderBy: { at: 'desc' }, take: 4 })
  expect(done.map(({ action }) => action)).toEqual(['reschedule', 'run', 'resume', 'pause'])
  expect(done[0]?.reason).toBe('none, before: 0 9 * * 1 in Asia/Tokyo; They left')
})
