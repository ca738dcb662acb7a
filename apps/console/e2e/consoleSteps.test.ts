// Not quick: starts processes.
import { openBrowser, waitFor, type Browser, type Page } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStepJobs, MANY_STEPS, PAGES, type ShopKind } from './createStepJobs.ts'
import { findBarriers } from './findBarriers.ts'
import { openConsoleStack, type ConsoleStack } from './openConsoleStack.ts'
import { openViewer, type Viewer } from './openViewer.ts'

const ACTOR = 'admin@example.com'
const VIEWS = [
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 375 },
] as const
/** Makes colours change at once with the scheme. The page's policy lets no style in; a sheet that a script makes needs no leave. */
const AT_ONCE = `(() => {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync('*, ::before, ::after { transition: none !important }')
  document.adoptedStyleSheets.push(sheet)
})()`
/** A folder for pictures of what the tests look at. */
const PICTURES = process.env['CONSOLE_PICTURES']

let browser: Browser
let stack: ConsoleStack

beforeAll(async () => {
  ;[browser, stack] = await Promise.all([
    openBrowser(),
    openConsoleStack({ testJobs: createStepJobs() }),
  ])
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

interface Look {
  title: string
  kind: ShopKind
  /** The steps that are there once the work is where the test wants it. */
  states: string
  shows: string
  role?: 'owner'
  prepare?: (workId: string) => Promise<void>
}

const LOOKS: readonly Look[] = [
  {
    title: 'that sleeps',
    kind: 'trial',
    states: 'register done, trial waiting',
    shows: 'Sleeps',
  },
  {
    title: 'that waits for a signal',
    kind: 'approval',
    states: 'register done, approval waiting',
    shows: 'Send the signal',
  },
  {
    title: 'with a step in doubt',
    kind: 'doubt',
    states: 'register done, domain inDoubt',
    shows: 'It did not',
  },
  {
    title: 'with children under way',
    kind: 'import',
    states: 'register done, products waiting',
    shows: '2 left',
    role: 'owner',
  },
  {
    title: 'that failed in a step',
    kind: 'failure',
    states: 'register done, announce failed, undo done',
    shows: 'Retry from the beginning',
    role: 'owner',
  },
  {
    title: 'that was cancelled, and undone',
    kind: 'cancelled',
    states: 'register done, approval failed, undo done',
    shows: 'Cancelled after',
    prepare: async (workId) => {
      await untilStates(workId, 'register done, approval waiting')
      const [job] = stack.jobs
      if (!job) throw new Error('There is no job')
      const request = { actor: ACTOR, reason: 'The shop has closed' }
      await stack.jobsClient.cancelWork({ job, ids: [workId] }, request)
    },
  },
]

describe('the timeline of work', () => {
  it.each(LOOKS)('$title keeps nobody out', async (look) => {
    const workId = await begin(look)
    await using viewer = await open(`/waiting/${workId}`, look.role)
    const { page, complaints } = viewer
    await page.getByText(look.shows).first().waitFor()
    await lookAt(page, look.kind)
    expect(complaints).toEqual([])
  })

  it(`of ${MANY_STEPS} steps shows the last ones, and all on request`, async () => {
    const workId = await stack.enqueue('openShop', { kind: 'many' })
    await untilSteps(workId, (steps) => steps.length === MANY_STEPS)
    await using viewer = await open(`/waiting/${workId}`)
    const { page } = viewer
    const lines = page.getByRole('list', { name: 'Steps so far' }).getByRole('listitem')
    await page.getByRole('button', { name: 'Show 170 earlier steps' }).waitFor()
    expect(await lines.count()).toBe(30)
    await lookAt(page, 'many')
    await page.getByRole('button', { name: 'Show 170 earlier steps' }).click()
    expect(await lines.count()).toBe(MANY_STEPS)
  })
})

describe('the result of a step', () => {
  it('is shown to people who may see payloads, and each look is on record', async () => {
    const workId = await begin({ kind: 'trial', states: 'register done, trial waiting' })
    await using viewer = await open(`/waiting/${workId}`, 'owner')
    const { page } = viewer
    await page.getByRole('button', { name: 'Show result: register' }).click()
    const dialog = page.getByRole('dialog', { name: 'Result of register' })
    await dialog.getByText('https://trial.example.com').waitFor()
    await lookAt(page, 'result')
    expect(await dialog.getByRole('button', { name: 'Copy with changes' }).count()).toBe(0)
    const actions = await stack.prisma.$queryRaw`
      select "action", "reason" from "JobAction" where "workId" = ${workId}::uuid`
    expect(actions).toEqual([{ action: 'showPayload', reason: 'result of register' }])
  })
})

describe('a signal', () => {
  it('is sent by hand, checked by its schema, on record, and once', async () => {
    const workId = await begin({ kind: 'signal', states: 'register done, approval waiting' })
    await using first = await open(`/waiting/${workId}`)
    await using second = await open(`/waiting/${workId}`)
    const send = async ({ page }: Viewer, payload: string) => {
      const dialog = page.getByRole('dialog')
      if (!(await dialog.isVisible()))
        await page.getByRole('button', { name: 'Send the signal shopApproved' }).click()
      await dialog.getByLabel('Payload').fill(payload)
      await dialog.getByLabel('Reason').fill('They have paid')
      await dialog.getByRole('button', { name: 'Send the signal' }).click()
    }
    await second.page.getByRole('button', { name: 'Send the signal shopApproved' }).click()
    await send(first, '{"by": ""}')
    await first.page.getByText('does not fit the signal shopApproved').waitFor()
    await lookAt(first.page, 'signal')
    await send(first, '{"by": "ada"}')
    await first.page.getByText('The signal shopApproved is sent').waitFor()
    await first.page.getByText(`${ACTOR} sent it`).waitFor()
    await first.page.getByText('3 of 7 done').waitFor()
    await send(second, '{"by": "bob"}')
    await second.page.getByText('Somebody has sent this signal before').waitFor()
    expect(
      await stack.prisma.$queryRaw`
        select "name", "actor", "reason" from "JobAction" where "workId" = ${workId}::uuid`,
    ).toEqual([
      { name: 'openShop', actor: ACTOR, reason: 'shopApproved of signal; They have paid' },
    ])
  })
})

describe('children', () => {
  it('lead from their parent to each, and back', async () => {
    const workId = await begin({ kind: 'import', states: 'register done, products waiting' })
    await using viewer = await open(`/waiting/${workId}`)
    const { page } = viewer
    await page.getByText(`3 of ${PAGES}`).waitFor()
    await page.getByText('1 failed').waitFor()
    await page.getByRole('link', { name: 'Its work of importPage' }).click()
    await page.getByRole('heading', { name: 'Work of step products', level: 1 }).waitFor()
    await lookAt(page, 'children')
    await page.getByLabel('State').selectOption('failed')
    await page.getByRole('row', { name: 'Page 2' }).getByText('page_empty').waitFor()
    await page.getByRole('link', { name: 'Page 2' }).click()
    await page.getByRole('heading', { name: 'Work of importPage', level: 1 }).waitFor()
    const child = new URL(page.url()).pathname.split('/').at(-1)
    await page.getByRole('link', { name: 'work of openShop' }).click()
    await page.getByRole('heading', { name: 'Work of openShop', level: 1 }).waitFor()
    stack.steps.open(4)
    await untilStates(workId, 'register done, products done, approval waiting')
    await page.getByText(`${PAGES} of ${PAGES}`).waitFor()
    expect(new URL(page.url()).pathname).toContain(workId)
    // Its first run has the same id.
    await page.goto(`/console/runs/${child}`)
    await page.getByRole('button', { name: 'Retry' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Reason').fill('The page is there now')
    await dialog.getByRole('button', { name: 'Retry' }).click()
    await page.getByText('no step gets its result').waitFor()
  })
})

async function begin({ kind, states, prepare }: Pick<Look, 'kind' | 'states' | 'prepare'>) {
  const workId = await stack.enqueue('openShop', { kind })
  await prepare?.(workId)
  await untilStates(workId, states)
  if (kind === 'import') await untilSteps(workId, ([, products]) => products?.children?.left === 2)
  return workId
}

type Steps = Awaited<ReturnType<ConsoleStack['jobsClient']['steps']>>

async function untilStates(workId: string, states: string): Promise<void> {
  const inWords = (steps: Steps) => steps.map(({ name, state }) => `${name} ${state}`).join(', ')
  await untilSteps(workId, (steps) => inWords(steps) === states)
  // The run that has written them is over.
  await waitFor(async () => (await stack.jobsClient.explain(workId))?.state !== 'running')
}

async function untilSteps(workId: string, isSo: (steps: Steps) => boolean): Promise<void> {
  await waitFor(async () => isSo(await stack.jobsClient.steps(workId)))
}

async function open(path: string, role: 'admin' | 'owner' = 'admin'): Promise<Viewer> {
  return await openViewer(browser, stack, {
    ...{ role, path },
    prepare: async (page) => {
      await page.addInitScript(AT_ONCE)
    },
  })
}

/** Asserts that all fits and that nothing keeps people out, small and large, light and dark. */
async function lookAt(page: Page, name: string): Promise<void> {
  for (const { colorScheme, width } of VIEWS) {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme })
    const overflow = 'document.documentElement.scrollWidth - document.body.offsetWidth'
    expect(await page.evaluate(overflow), `${width} px`).toBe(0)
    expect(await findBarriers(page), `${colorScheme}, ${width} px`).toEqual([])
    if (PICTURES !== undefined)
      await page.screenshot({
        path: `${PICTURES}/${name}-${width}-${colorScheme}.png`,
        fullPage: true,
      })
  }
}
