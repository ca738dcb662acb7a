// Not quick: starts processes.
import { openBrowser, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectSeen } from './expectSeen.ts'
import { openConsoleStack, PASSWORD, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer } from './openViewer.ts'

const HOUR_MS = 3_600_000

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([openBrowser(), openConsoleStack()])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

describe('logging in', () => {
  it('refuses a wrong password, lets an admin in, and forgets them when they log out', async () => {
    await using viewer = await openViewer(browser, stack)
    const { page, context } = viewer
    await logIn(page, 'admin@example.com', 'another password')
    await page.getByText('E-mail or password is wrong.').waitFor()
    expect(await context.cookies()).toEqual([])

    await logIn(page, 'admin@example.com')
    await heading(page, 'Overview').waitFor()
    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' })

    await page.getByRole('button', { name: 'Log out' }).click()
    await heading(page, 'Log in').waitFor()
    expect(await context.cookies()).toEqual([])
    await page.goto('/console/jobs')
    await heading(page, 'Log in').waitFor()
  })

  it('tells staff plainly that the console is not for them, and opens no session', async () => {
    await using viewer = await openViewer(browser, stack)
    const { page, context } = viewer
    await logIn(page, 'staff@example.com')
    await heading(page, "You don't have access").waitFor()
    await page.getByText('Only administrators and owners may use it.').waitFor()
    expect(await context.cookies()).toEqual([])

    await page.getByRole('button', { name: 'Log in as somebody else' }).click()
    await logIn(page, 'admin@example.com')
    await heading(page, 'Overview').waitFor()
  })

  it('tells staff the same who bring a session along', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'staff', path: '/queues' })
    await expectSeen(heading(viewer.page, "You don't have access"))
  })
})

describe('the end of a session', () => {
  it('takes away the screen of an admin who is one no more', async () => {
    const { prisma, userIds } = stack
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/jobs' })
    const { page } = viewer
    await settled(page, 'Jobs')
    await prisma.user.update({ where: { id: userIds.admin }, data: { role: 'staff' } })
    try {
      await page.getByRole('link', { name: 'Queues' }).click()
      await expectSeen(heading(page, "You don't have access"))
    } finally {
      await prisma.user.update({ where: { id: userIds.admin }, data: { role: 'admin' } })
    }
  })

  it('asks for a log-in when it has expired, and leads back to where one was', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin' })
    const { page } = viewer
    await settled(page, 'Overview')
    const queue = page.getByRole('link', { name: 'Queues' })
    stack.setLead(9 * HOUR_MS)
    try {
      // At once: when the page itself asks before, the log-in comes where one was until then.
      await queue.evaluate((link) => link.click())
      await page.getByText('Your log-in has ended.').waitFor()
      await logIn(page, 'admin@example.com')
      await heading(page, 'Queues').waitFor()
      expect(new URL(page.url()).pathname).toBe('/console/queues')
    } finally {
      stack.setLead(0)
    }
  })

  it('shows whoever logs in next nothing that somebody else has seen', async () => {
    await using viewer = await openViewer(browser, stack, { role: 'admin', path: '/jobs' })
    const { page, context } = viewer
    const job = page.getByRole('main').getByText('countSheep').first()
    await settled(page, 'Jobs')
    await job.waitFor()
    await context.clearCookies()
    await page.getByRole('link', { name: 'Queues' }).click()
    await page.getByText('Your log-in has ended.').waitFor()

    const held = Promise.withResolvers<void>()
    await page.route('**/api/console/jobs*', async (route) => {
      await held.promise
      await route.continue()
    })
    await logIn(page, 'owner@example.com')
    await heading(page, 'Queues').waitFor()
    await page.getByRole('link', { name: 'Jobs' }).click()
    await heading(page, 'Jobs').waitFor()
    await page.getByRole('main').locator('[aria-busy=true]').first().waitFor()
    expect(await job.count()).toBe(0)
    held.resolve()
    await job.waitFor()
  })

  it('keeps the filters in the address when its cookie is gone', async () => {
    const path = '/runs?name=countSheep&status=failed'
    await using viewer = await openViewer(browser, stack, { role: 'admin', path })
    const { page, context } = viewer
    await settled(page, 'Runs')
    await context.clearCookies()
    await page.getByLabel('Error code').fill('wolf')
    await page.getByText('Your log-in has ended.').waitFor()
    await logIn(page, 'admin@example.com')
    await heading(page, 'Runs').waitFor()
    expect(new URL(page.url()).search).toBe('?name=countSheep&status=failed&errorCode=wolf')
    expect(await page.getByLabel('Outcome').inputValue()).toBe('anyFailure')
  })
})

async function logIn(page: Page, email: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
}

/** Waits until a screen has its answers and its event stream, so that it asks for nothing more by itself. */
async function settled(page: Page, name: string): Promise<void> {
  await heading(page, name).waitFor()
  await page.getByRole('banner').getByText('Live', { exact: true }).waitFor()
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
}

function heading(page: Page, name: string) {
  return page.getByRole('heading', { name, level: 1, exact: true })
}
