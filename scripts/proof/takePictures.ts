import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openBrowser } from '@roundsman/testing'
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
      for (const { file, path, shows } of PAGES) {
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
