// Processes: keeps up workers, and has some of them killed.
import { serveConsole } from '@roundsman/admin'
import {
  buildConsole,
  createTestDatabase,
  openBrowser,
  openForTests,
  waitFor,
} from '@roundsman/testing'
import { expect, it } from 'vitest'
import { catalogue } from '../src/incidents/incidentJobs.ts'
import { INCIDENTS } from '../src/incidents/incidents.ts'
import { openShop } from '../src/incidents/openShop.ts'

/** A person on call, with the console open over a product. */
const opened = openForTests(async () => {
  const [database, consoleDir, browser] = await Promise.all([
    createTestDatabase(),
    buildConsole(),
    openBrowser(),
  ])
  const shop = await openShop(database.url)
  const served = await serveConsole({ client: shop.client, jobs: catalogue, consoleDir })
  const page = await browser.newPage({ locale: 'en-GB', timezoneId: 'Europe/Berlin' })
  await page.goto(served.link)
  return {
    shop,
    async read(path: string) {
      await page.goto(`${served.url}/console${path === '/' ? '' : path}`)
      return page.locator('main')
    },
    async close() {
      await browser.close()
      await served.close()
      await shop.close()
      await database.drop()
    },
  }
})

async function expectSaid(path: string, says: readonly RegExp[]): Promise<void> {
  const main = await opened.read(path)
  const isSaid = async () => {
    // As people read it, however it is broken into lines.
    const read = (await main.innerText()).replaceAll(/\s+/g, ' ')
    for (const one of says) expect(read).toMatch(one)
    return true
  }
  await waitFor(isSaid, { timeoutMs: 60_000 })
}

it.each(INCIDENTS)('$about The console says so within a minute.', async (incident) => {
  const { make, says, closer } = incident
  await expectSaid(await make(opened.shop), says)
  if (closer !== undefined) await expectSaid(await closer.find(opened.shop), closer.says)
})
