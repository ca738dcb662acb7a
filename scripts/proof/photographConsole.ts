import { join } from 'node:path'
import { PDFiumLibrary } from '@hyzyla/pdfium'
import { openBrowser } from '@roundsman/testing'
import { encode } from 'fast-png'

export interface Photograph {
  title: string
  file: string
}

interface Shot {
  title: string
  file: string
  path: string
  /** A text that shows once the screen has its data. */
  shows: string
  colorScheme?: 'light' | 'dark'
  width?: number
}

/** Pictures of each screen, for a stack in which jobs have run. `runId`: a run to show. */
export const eachScreen = (runId: string): readonly Shot[] => [
  { title: 'Overview', file: 'overview', path: '', shows: 'Next ticks' },
  { title: 'Jobs', file: 'jobs', path: 'jobs', shows: 'Every 5 seconds' },
  { title: 'A job', file: 'job', path: 'jobs/cleanupPreviewSessions', shows: 'Policies' },
  { title: 'Runs', file: 'runs', path: 'runs', shows: 'cleanupPreviewSessions' },
  { title: 'A run', file: 'run', path: `runs/${runId}`, shows: 'Timeline' },
  { title: 'The queue', file: 'queue', path: 'queue', shows: 'By job' },
  {
    title: 'Overview, dark',
    file: 'overview-dark',
    path: '',
    shows: 'Next ticks',
    colorScheme: 'dark',
  },
  { title: 'Jobs on a phone', file: 'jobs-narrow', path: 'jobs', shows: 'Every 5', width: 375 },
]

/** Pictures of what people see after their very first start. */
export const FIRST_LOOK: readonly Shot[] = [
  { title: 'Overview', file: 'first-look', path: '', shows: 'Next ticks' },
  { title: 'Jobs', file: 'first-look-jobs', path: 'jobs', shows: 'demoArchiveOrders' },
  {
    title: 'A job that fails',
    file: 'first-look-job',
    path: 'jobs/demoImportFeed',
    shows: 'Policies',
  },
  { title: 'The queue', file: 'first-look-queue', path: 'queue', shows: 'demoSyncOrder' },
]

/** Logs in to the console and takes a picture of each screen. */
export async function photographConsole(options: {
  baseUrl: string
  email: string
  password: string
  shots: readonly Shot[]
  folder: string
}): Promise<Photograph[]> {
  const { baseUrl, email, password, shots, folder } = options
  const browser = await openBrowser()
  try {
    for (const { file, path, shows, colorScheme = 'light', width = 1_280 } of shots) {
      const context = await browser.newContext({
        colorScheme,
        reducedMotion: 'reduce',
        viewport: { width, height: 800 },
      })
      const page = await context.newPage()
      await page.goto(`${baseUrl}/console/${path}`)
      await page.getByLabel('E-mail').fill(email)
      await page.getByLabel('Password').fill(password)
      await page.keyboard.press('Enter')
      await page.getByText(shows).filter({ visible: true }).first().waitFor()
      await page.screenshot({ path: join(folder, `console-${file}.png`) })
      await context.close()
    }
  } finally {
    await browser.close()
  }
  return shots.map(({ title, file }) => ({ title, file: `console-${file}.png` }))
}

const SCALE = 110 / 72

/** Draws a page of a PDF as a PNG, in grey. */
export async function drawPage(pdf: Uint8Array, page: number): Promise<Uint8Array> {
  const library = await PDFiumLibrary.init()
  try {
    const document = await library.loadDocument(pdf)
    const { width, height, data } = await document.getPage(page).render({
      scale: SCALE,
      render: 'bitmap',
      colorSpace: 'Gray',
    })
    document.destroy()
    return encode({ width, height, data: data.slice(0, width * height), channels: 1 })
  } finally {
    library.destroy()
  }
}
