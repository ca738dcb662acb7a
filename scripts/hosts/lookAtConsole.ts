import { openBrowser, waitFor } from '@roundsman/testing'

export interface Run {
  id: string
  name: string
  status: string
  trigger: string
}

/** Where a product has its console, and the headers that let us in. */
export interface ConsoleAccess {
  /** The address of the page, with a slash at its end. */
  page: string
  /** The beginning of the admin API's addresses. */
  api: string
  headers: Record<string, string>
}

/** Asks with a session. Throws what the answer says if that is not 2xx. */
async function ask<Answer>(url: string, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, { headers })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
  return JSON.parse(text) as Answer
}

export async function listRuns({ api, headers }: ConsoleAccess): Promise<Run[]> {
  return (await ask<{ runs: Run[] }>(`${api}/jobs/runs?limit=100`, headers)).runs
}

/** Waits until a run of each of these triggers has succeeded, and resolves to all runs. */
export async function waitForRuns(
  access: ConsoleAccess,
  triggers: readonly string[],
): Promise<Run[]> {
  return await waitFor(
    async () => {
      const runs = await listRuns(access)
      const succeeded = runs.filter(({ status }) => status === 'success')
      return triggers.every((trigger) => succeeded.some((run) => run.trigger === trigger)) && runs
    },
    // A schedule's next tick may be a minute away.
    { timeoutMs: 150_000, message: `Runs by ${triggers.join(' and ')} in the console` },
  )
}

/** Loads the page and all that it names, and resolves to the number of files. */
export async function loadPage({ page, headers }: ConsoleAccess): Promise<number> {
  const response = await fetch(page, { headers })
  const html = await response.text()
  if (!response.ok || !html.includes('<script')) {
    throw new Error(`${page} answered ${response.status}: ${html.slice(0, 500)}`)
  }
  const assets = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path = '']) => path)
  if (assets.length === 0) throw new Error(`${page} loads nothing`)
  const base = /<base href="([^"]+)"/.exec(html)?.[1] ?? ''
  for (const path of assets) {
    const url = new URL(path, new URL(base, page))
    const { ok, status } = await fetch(url, { headers })
    if (!ok) throw new Error(`${url.href}, which ${page} loads, answered ${status}`)
  }
  return assets.length
}

/** Opens the console in a browser with this session, and waits until its runs show. */
export async function lookInBrowser(access: ConsoleAccess): Promise<void> {
  const { page: address, headers } = access
  const [run] = await listRuns(access)
  const browser = await openBrowser()
  try {
    const context = await browser.newContext()
    const cookies = (headers['cookie'] ?? '').split('; ').map((cookie) => {
      const [name = '', ...value] = cookie.split('=')
      // With the page's own address, the cookie would count only below it.
      return { name, value: value.join('='), url: new URL('/', address).href }
    })
    await context.addCookies(cookies)
    const page = await context.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(new URL('runs', address).href)
    const name = page.getByText(run?.name ?? '').filter({ visible: true })
    await name.first().waitFor({ timeout: 30_000 })
    if (problems.length > 0) throw new Error(`In the browser: ${problems.join('\n')}`)
  } finally {
    await browser.close()
  }
}
