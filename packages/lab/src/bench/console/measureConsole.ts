import { join } from 'node:path'
import { buildConsole, openBrowser, type Browser } from '@roundsman/testing'
import pg from 'pg'
import type { Bench } from '../openBench.ts'
import { startProcess } from '../../startProcess.ts'
import { bySide, inTurn } from '../../statistics.ts'
import { fillHistory, openLivingWorker, type HistorySize } from './fillHistory.ts'
import { readFacts } from './readFacts.ts'
import { listSteps, type Step, type StepKind, type View } from './steps.ts'
import { NOTE_ACTIONS, type Shown } from './watchPage.ts'

export const SIZES = ['few', 'many'] as const
export type Size = (typeof SIZES)[number]

export interface ConsoleFigures {
  sizes: Record<Size, HistorySize>
  fillMs: number
  /** How many pages were compared with what plain SQL says; one that differs ends the measurement. */
  compared: number
  steps: MeasuredStep[]
}

export interface MeasuredStep {
  what: string
  kind: StepKind
  /** Of each round: until it was shown, and the slowest answer of the server meanwhile. */
  shownMs: Record<Size, number[]>
  answerMs: Record<Size, number[]>
  /** Where the slowest of all answers of many came from. */
  slowest: string
}

const SERVE_PROCESS = join(import.meta.dirname, 'serveProcess.ts')
const VIEWPORT = { width: 1_280, height: 900 }

/** A browser in front of two consoles, one over few and one over many runs, by turns. */
export async function measureConsole(bench: Bench): Promise<ConsoleFigures> {
  const sizes = bench.sized<Record<Size, HistorySize>>({
    small: {
      few: { runs: 8_000, waiting: 40, deadLetters: 100 },
      many: { runs: 12_000, waiting: 400, deadLetters: 1_000 },
    },
    full: {
      few: { runs: 10_000, waiting: 1_000, deadLetters: 1_000 },
      many: { runs: 10_000_000, waiting: 500_000, deadLetters: 50_000 },
    },
  })
  const server = await bench.server()
  const consoleDir = await buildConsole()
  const urls = {
    few: await server.createDatabase('console_few'),
    many: await server.createDatabase('console_many'),
  }
  await fillHistory(urls.few, sizes.few, bench.seed)
  bench.progress(`filling in ${sizes.many.runs} runs`)
  const startedAtMs = performance.now()
  await fillHistory(urls.many, sizes.many, bench.seed)
  const fillMs = performance.now() - startedAtMs

  const figures: ConsoleFigures = { sizes, fillMs, compared: 0, steps: [] }
  const browser = await openBrowser()
  const closers = [bench.onClose(() => browser.close())]
  try {
    const views = {} as Record<Size, OpenView>
    for (const size of SIZES) {
      views[size] = await openView(browser, urls[size], consoleDir)
      closers.push(bench.onClose(views[size].close))
    }
    // All of them are some minutes of a browser's work.
    const everyStep = bench.sized({ small: 3, full: 1 })
    figures.steps = views.few.steps.map(({ what, kind }) => ({
      what,
      kind,
      shownMs: bySide(SIZES, () => []),
      answerMs: bySide(SIZES, () => []),
      slowest: '',
    }))
    figures.steps = figures.steps.filter((_, index) => index % everyStep === 0)
    await bench.interleave([...figures.steps.entries()], async ([index, measured], round) => {
      bench.progress(`round ${round + 1}, ${measured.what}`)
      for (const size of inTurn(SIZES, index)) {
        const { shownMs, answerMs, slowest } = await views[size].look(index * everyStep)
        if (size === 'many' && answerMs >= Math.max(0, ...measured.answerMs.many)) {
          measured.slowest = slowest
        }
        measured.shownMs[size].push(shownMs)
        measured.answerMs[size].push(answerMs)
        figures.compared++
      }
    })
  } finally {
    for (const close of closers.toReversed()) await close()
  }
  for (const size of SIZES) await server.dropDatabase(`console_${size}`)
  return figures
}

interface OpenView {
  /** @throws where anything else is shown than there is, the browser complained, or the server refused anything */
  look(step: number): Promise<Shown>
  steps: readonly Step[]
  close(): Promise<void>
}

/** Somebody with a browser profile of their own, let in by the link that the command prints. */
async function openView(browser: Browser, url: string, consoleDir: string): Promise<OpenView> {
  const leave = await openLivingWorker(url)
  const serving = startProcess(SERVE_PROCESS, { settings: { databaseUrl: url, consoleDir } })
  const link = await serving.told<string>('link')
  const client = new pg.Client({ connectionString: url, application_name: 'bench' })
  client.on('error', () => undefined)
  await client.connect()
  const context = await browser.newContext({
    baseURL: new URL(link).origin,
    viewport: VIEWPORT,
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
  })
  const complaints: string[] = []
  await context.addInitScript(NOTE_ACTIONS)
  const page = await context.newPage()
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} of ${response.url()}`)
  })
  await page.goto(link)
  const view: View = { page, client, known: new Map() }
  const steps = listSteps(await readFacts(client))
  return {
    steps,
    async look(index) {
      const step = steps[index]
      if (step === undefined) throw new Error(`There is no step ${index}`)
      const shown = await step.measure(view).catch((error: unknown) => {
        throw new Error(`${step.what}: ${[String(error), ...complaints].join('\n')}`, {
          cause: error,
        })
      })
      if (complaints.length > 0) throw new Error(`${step.what}: ${complaints.join('\n')}`)
      return shown
    },
    async close() {
      await context.close()
      await serving.stop()
      await client.end()
      await leave()
    },
  }
}
