import type { Page } from '@roundsman/testing'

/** What has to be on screen, as a page of the console says it. */
export interface Wanted {
  /** The rows of the list of runs, from the first to the last; empty where it says that there are none. */
  ids?: readonly string[]
  /** What the screen, or the palette, says among others. */
  texts?: readonly string[]
  /** Where the texts are looked for. Default: the screen. */
  within?: 'main' | 'dialog'
  /** A request that has to have been answered since: the end of its path, and a part of its query. */
  answer?: { path: string; query?: Readonly<Record<string, string>> }
}

export interface Shown {
  /** From what somebody did, or from the beginning of a page's load, until it was painted; by the browser's own clock. */
  shownMs: number
  /** The slowest answer of the server meanwhile, from its request to its last byte; 0 without any. */
  answerMs: number
  slowest: string
  /** The text of each row of the list. */
  rows: string[]
}

const TIMEOUT_MS = 30_000

/** Notes when somebody last did something. For every page that a context opens. */
export const NOTE_ACTIONS = `
  performance.setResourceTimingBufferSize(5000)
  globalThis.actedAt = 0
  for (const kind of ['input', 'change', 'click', 'keydown', 'popstate'])
    addEventListener(kind, (event) => { globalThis.actedAt = event.timeStamp }, true)`

/** Opens an address, and waits until its page shows what is wanted. */
export async function watchLoad(page: Page, path: string, wanted: Wanted): Promise<Shown> {
  await page.goto(path, { waitUntil: 'commit' })
  return await watch(page, wanted, { isLoad: true })
}

/** Does something on the page that is open, and waits until it shows what is wanted. */
export async function watchAction(
  page: Page,
  act: () => Promise<unknown>,
  wanted: Wanted,
): Promise<Shown> {
  // Forgets what was done and answered before.
  await page.evaluate('actedAt = 0; performance.clearResourceTimings()')
  const [shown] = await Promise.all([watch(page, wanted, { isLoad: false }), act()])
  return shown
}

/** Waits until the page shows what is wanted, from its load or from what somebody does on it. */
async function watch(page: Page, wanted: Wanted, { isLoad }: { isLoad: boolean }): Promise<Shown> {
  const asked = JSON.stringify({ ...wanted, isLoad, timeoutMs: TIMEOUT_MS })
  const shown = await page.evaluate<Shown & { problem: string | null }>(`(${WATCH})(${asked})`)
  if (shown.problem !== null) throw new Error(`${page.url()}: ${shown.problem}`)
  return shown
}

/** In the page: looks at each frame, and ends with the frame after the one in which everything was there. */
const WATCH = `async ({ ids, texts = [], within = 'main', answer, isLoad, timeoutMs }) => {
  const frame = () => new Promise(requestAnimationFrame)
  const answers = () => performance.getEntriesByType('resource').filter(({ name, responseEnd }) =>
    name.includes('/api/') && !name.includes('/events') && responseEnd > 0)
  const isAnswer = ({ name }) => {
    const url = new URL(name)
    return url.pathname.endsWith(answer.path) &&
      Object.entries(answer.query ?? {}).every(([key, value]) => url.searchParams.get(key) === value)
  }
  const links = () => [...document.querySelectorAll('main a[data-row-link]')]
  const missing = () => {
    if (!isLoad && actedAt === 0) return 'nothing was done'
    if (answer && !answers().some(isAnswer)) return 'no answer of ' + JSON.stringify(answer)
    const place = document.querySelector(within === 'main' ? 'main' : 'dialog[open]')
    if (!place) return 'no ' + within
    if (place.querySelector('.skeleton, [aria-busy=true], .isDim')) return 'still under way'
    const text = place.innerText
    for (const wanted of texts) if (!text.includes(wanted)) return 'not "' + wanted + '" in: ' + text.slice(0, 2000)
    if (!ids) return null
    const shown = links().map((link) => link.pathname.split('/').at(-1))
    if (shown.join() !== ids.join()) return 'rows ' + shown.join() + ' instead of ' + ids.join()
    return ids.length > 0 || place.querySelector('.emptyState') ? null : 'no word of there being none'
  }
  const until = performance.now() + timeoutMs
  let problem = missing()
  while (problem !== null && performance.now() < until) {
    await frame()
    const alert = document.querySelector('[role=alert]')
    problem = alert ? 'it says: ' + alert.innerText : missing()
    if (alert) break
  }
  await frame()
  await frame()
  const sorted = answers().toSorted((one, other) =>
    (other.responseEnd - other.requestStart) - (one.responseEnd - one.requestStart))
  const [slowest] = sorted
  return {
    problem,
    shownMs: performance.now() - (isLoad ? 0 : actedAt),
    answerMs: slowest ? slowest.responseEnd - slowest.requestStart : 0,
    slowest: slowest ? new URL(slowest.name).pathname : '',
    rows: links().map((link) => link.closest('tr').innerText),
  }
}`
