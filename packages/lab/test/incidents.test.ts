// Processes: keeps up workers, and has some of them killed.
import { serveConsole } from '@roundsman/admin'
import {
  buildConsole,
  createTestDatabase,
  openBrowser,
  openForTests,
  waitFor,
} from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { catalogue } from '../src/incidents/incidentJobs.ts'
import { INCIDENTS } from '../src/incidents/incidents.ts'
import { openShop } from '../src/incidents/openShop.ts'

const opened = openForTests(async () => {
  const [consoleDir, browser] = await Promise.all([buildConsole(), openBrowser()])
  return { consoleDir, browser, close: () => browser.close() }
})

/** A person on call, with the console open over a product of their own. */
async function openConsole() {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  const shop = await openShop(database.url)
  onTestFinished(() => shop.close())
  const { client, host } = shop
  const served = await serveConsole({ client, jobs: catalogue, consoleDir: opened.consoleDir })
  onTestFinished(() => served.close())
  const page = await opened.browser.newPage({ locale: 'en-GB', timezoneId: 'Europe/Berlin' })
  onTestFinished(() => page.close())
  await page.goto(served.link)
  const valueOf = async (expression: string) => {
    const [row] = await host.$queryRawUnsafe<{ text: string }[]>(`select ${expression} as text`)
    return row!.text
  }
  return {
    shop,
    page,
    valueOf,
    goTo: async (path: string) =>
      await page.goto(`${served.url}/console${path.replace(/^\/$/, '')}`),
  }
}

/** As people read it, however it is broken into lines. */
const inLine = (text: string) => text.replaceAll(/\s+/g, ' ')

it.each(INCIDENTS)('$about The console says so within a minute.', async (incident) => {
  const { make, first, items, pages = [] } = incident
  const { shop, page, valueOf, goTo } = await openConsole()
  await make(shop)
  const readFirst = async () => {
    await goTo('/')
    await page
      .locator(items === 0 ? 'text=Nothing needs you' : '.attentionItem')
      .first()
      .waitFor({ timeout: 10_000 })
    const all = await page.locator('.attentionItem').all()
    // The rest is shown on demand.
    expect(await Promise.all(all.map((item) => item.innerText()))).toHaveLength(Math.min(items, 7))
    if (first === null) return true
    const read = {
      label: await all[0]!.locator('.badge').innerText(),
      text: await all[0]!.locator('p').first().innerText(),
    }
    const says = await valueOf(first.says)
    expect(read).toEqual({ label: first.label, text: expect.stringMatching(startOf(says)) })
    return true
  }
  await waitFor(readFirst, { timeoutMs: 60_000 })
  for (const { path, press, meanwhile, confirm, says, never } of pages) {
    await goTo(await valueOf(path))
    if (press !== undefined) await page.getByRole('button', { name: press }).first().click()
    await meanwhile?.(shop)
    if (confirm !== undefined) {
      await page.getByLabel('Reason').fill('The partner is back')
      await page.getByRole('button', { name: confirm, exact: true }).click()
    }
    const isSaid = async () => {
      const read = inLine(await page.locator('body').innerText())
      for (const one of says) expect(read).toContain(await valueOf(one))
      expect(never !== undefined && read.includes(never)).toBe(false)
      return true
    }
    await waitFor(isSaid, { timeoutMs: 60_000 })
  }
})

const startOf = (text: string) => new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)
