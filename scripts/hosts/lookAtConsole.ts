import { openBrowser, waitFor } from '@roundsman/testing'

export interface Run {
  id: string
  name: string
  status: string
  trigger: string
}

/** Where a product has its console, and with which headers one is let in. */
export interface ConsoleAccess {
  /** Of the page, with a slash at its end. */
  page: string
  /** What the addresses of the admin API begin with. */
  api: string
  headers: Record<string, string>
}

/** Asks with a session. An answer other than 2xx is an error with what it says. */
async function ask<Answer>(url: string, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, { headers })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
  return JSON.parse(text) as Answer
}

export async function listRuns({ api, headers }: ConsoleAccess): Promise<Run[]> {
  return (await ask<{ runs: Run[] }>(`${api}/jobs/runs?limit=100`, headers)).runs
}

/** Waits for a run of each of these triggers that has succeeded. */
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
    // The next minute may be a minute away.
    { timeoutMs: 150_000, message: `Runs by ${triggers.join(' and ')} in the console` },
  )
}

/** The page and everything that it loads at first; resolves to how many files that was. */
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

/** Opens the console as a browser that has the session, and waits until its runs are there. */
export async function lookInBrowser(access: ConsoleAccess): Promise<void> {
  const { page: address, headers } = access
  const [run] = await listRuns(access)
  const browser = await openBrowser()
  try {
    const context = await browser.newContext()
    const cookies = (headers['cookie'] ?? '').split('; ').map((cookie) => {
      const [name = '', ...value] = cookie.split('=')
      // Of a page's own address it would be a cookie for what is below that.
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
