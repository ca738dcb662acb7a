import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DEMO_DOUBTFUL_SHOP, demoOpenShop, demoShopApproved } from '@roundsman/jobs/demo'
import { openBrowser, waitFor } from '@roundsman/testing'
import { DEMO_PASSWORD } from '../seed/seedDemoData.ts'
import { openStack } from './openStack.ts'

/** Pages of the console, and what each shows once it has its data. */
const PAGES = [
  { file: 'overview', path: '', shows: 'Next runs' },
  { file: 'jobs', path: 'jobs', shows: 'demoArchiveOrders' },
  { file: 'job', path: 'jobs/demoImportFeed', shows: 'Policies' },
  { file: 'runs', path: 'runs', shows: 'demoSyncOrder' },
  { file: 'queues', path: 'queues', shows: 'demoSyncOrder' },
  { file: 'waiting', path: 'waiting', shows: 'demoImportCatalogue' },
  { file: 'dead-letters', path: 'dead-letters', shows: 'demoSyncOrder' },
  { file: 'limits', path: 'limits', shows: 'demoFeedServer' },
  { file: 'keys', path: 'jobs/demoImportCatalogue/keys', shows: 'tenant-initech' },
  { file: 'schedules', path: 'jobs/sendWeeklyReport/schedules', shows: 'Asia/Tokyo' },
  { file: 'workers', path: 'workers', shows: 'Runs now' },
]
const VIEWS = ['light', 'dark'] as const

/** Photographs the console of a stack with the jobs of the demo, and resolves to the names of the files. */
export async function takePictures(folder: string): Promise<string[]> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const files: string[] = []
  const stack = await openStack({ DEMO_JOBS: 'true' })
  const browser = await openBrowser()
  try {
    const timeline = { file: 'timeline', path: await openShop(stack.baseUrl), shows: 'Sleeps' }
    for (const colorScheme of VIEWS) {
      const context = await browser.newContext({
        baseURL: stack.baseUrl,
        colorScheme,
        locale: 'en-GB',
        reducedMotion: 'reduce',
        timezoneId: 'Europe/Berlin',
        viewport: { width: 1_280, height: 800 },
      })
      const page = await context.newPage()
      await page.goto('/console/')
      await page.getByLabel('E-mail').fill('admin@example.com')
      await page.getByLabel('Password').fill(DEMO_PASSWORD)
      await page.keyboard.press('Enter')
      await page.getByLabel('E-mail').waitFor({ state: 'detached' })
      for (const { file, path, shows } of [...PAGES, timeline]) {
        await page.goto(`/console/${path}`)
        await page.getByText(shows).filter({ visible: true }).first().waitFor()
        await page
          .locator('.skeleton, [aria-busy=true], .isDim')
          .first()
          .waitFor({ state: 'detached' })
        files.push(`${colorScheme}-${file}.png`)
        await page.screenshot({ path: join(folder, `${colorScheme}-${file}.png`) })
      }
    }
  } finally {
    await browser.close()
    await stack.close()
  }
  return files
}

/** Has the demo open a shop, up to the sleep, and returns the page of its work: somebody ends a doubt and sends a signal. */
async function openShop(baseUrl: string): Promise<string> {
  const credentials = { email: 'admin@example.com', password: DEMO_PASSWORD }
  const login = await send('auth/login', credentials, '')
  const token = String(login['token'])
  const shop = DEMO_DOUBTFUL_SHOP
  const by = { reason: 'The first customer of the harbour' }
  const { workId } = await send(`jobs/named/${demoOpenShop.name}/run`, { ...by, payload: { shop } })
  const path = `jobs/work/${String(workId)}`
  await untilItSays('domain may have happened')
  const looked = { reason: 'The registrar lists it' }
  const result = { domain: 'harbour-tea.example.com' }
  await send(`${path}/steps/answer`, { step: 'domain', happened: true, result, ...looked })
  await untilItSays('waits for the signal')
  const approval = { signal: demoShopApproved.name, key: shop, payload: { plan: 'small' } }
  await send('jobs/signals', { ...approval, reason: 'They have signed' })
  await untilItSays('sleeps')
  return `waiting/${String(workId)}`

  async function untilItSays(text: string): Promise<void> {
    await waitFor(
      async () => {
        const answer = await fetch(`${baseUrl}/api/${path}/explain`, { headers: authorized() })
        return (await answer.text()).includes(text)
      },
      { timeoutMs: 180_000, message: text },
    )
  }

  async function send(to: string, body: object, as = token): Promise<Record<string, unknown>> {
    const response = await fetch(`${baseUrl}/api/${to}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorized(as) },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${to}: ${response.status} ${await response.text()}`)
    return (await response.json()) as Record<string, unknown>
  }

  function authorized(as = token): Record<string, string> {
    return as === '' ? {} : { authorization: `Bearer ${as}` }
  }
}
