// Not quick: starts a browser.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createNodeHandler, serveConsole, type Access, type NodeHandler } from '@roundsman/admin'
import {
  buildConsole,
  openBrowser,
  openForTests,
  type Browser,
  type Page,
} from '@roundsman/testing'
import { jobs, openHost } from '@roundsman/testing/openHost'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'

const product = openForTests(openHost)
let browser: Browser
let consoleDir: string
let host: { server: Server; handle: NodeHandler } | undefined

beforeAll(async () => {
  ;[browser, consoleDir] = await Promise.all([openBrowser(), buildConsole()])
})

afterEach(async () => {
  await host?.handle.close()
  host?.server.closeAllConnections()
  host?.server.close()
  host = undefined
})

afterAll(() => browser.close())

/** Opens a page in a browser profile of its own, and collects what the browser complains about. */
async function view(url: string): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext()
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(url)
  return { page, complaints }
}

/** Opens a product with its own policy and log-in. */
async function openProduct(access: Access | null): Promise<string> {
  const handle = createNodeHandler({
    basePath: '/ops/night',
    client: product.client,
    jobs,
    authorize: () => access,
    apiPrefix: '/jobs-api',
    consolePath: '/watch',
    loginUrl: '/login',
    environment: 'production',
    version: '1.2.3',
    consoleDir,
  })
  const server = createServer((request, response) => {
    response.setHeader('content-security-policy', "default-src 'self'; base-uri 'none'")
    if (request.url !== '/login') return handle(request, response)
    response.setHeader('content-type', 'text/html').end('<h1>Our own log-in</h1>')
  }).listen(0, '127.0.0.1')
  host = { server, handle }
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('lies below any path, under the policy of its host', async () => {
  const address = await openProduct({ actor: 'ada@example.com', view: true, act: true })
  const { page, complaints } = await view(`${address}/ops/night/watch/jobs/echo`)
  await page.getByRole('heading', { name: 'echo' }).waitFor()
  await page.getByText('Live', { exact: true }).waitFor()
  expect(await page.getByText('ada@example.com').count()).toBe(1)
  expect(await page.getByRole('button', { name: 'Log out' }).count()).toBe(0)
  const header = page.getByRole('banner')
  for (const text of ['production', '1.2.3', `/${new URL(product.url).pathname.slice(1)}`]) {
    await header.getByText(text).waitFor()
  }
  const background = `getComputedStyle(document.querySelector('.placeBar')).backgroundColor`
  expect(await page.evaluate(background)).toBe('rgb(179, 38, 30)')

  await page.getByRole('button', { name: 'Run now', exact: true }).click()
  await page
    .getByRole('dialog')
    .getByLabel(/reason/i)
    .fill('seen in a browser')
  await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
  await page.locator('.notice').waitFor()
  expect(await product.prisma.jobAction.findMany()).toMatchObject([
    { action: 'run', actor: 'ada@example.com', reason: 'seen in a browser' },
  ])
  await page.getByRole('link', { name: 'Runs', exact: true }).click()
  await page.waitForURL('**/ops/night/watch/runs')
  expect(complaints).toEqual([])
})

it('offers nothing to somebody who may only look', async () => {
  const address = await openProduct({ actor: 'bob@example.com', view: true, act: false })
  const { page } = await view(`${address}/ops/night/watch/jobs`)
  await page.getByRole('link', { name: 'echo', exact: true }).waitFor()
  expect(await page.getByRole('button', { name: /run/i }).count()).toBe(0)

  // Nor an empty panel whose one use is to add something.
  await page.getByRole('link', { name: 'echo', exact: true }).click()
  await page.getByRole('region', { name: 'Policies' }).waitFor()
  expect(await page.getByRole('region', { name: 'Schedules by key' }).count()).toBe(0)
})

it('leads to the log-in of its host', async () => {
  const address = await openProduct(null)
  const { page } = await view(`${address}/ops/night/watch`)
  await page.getByRole('link', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: 'Our own log-in' }).waitFor()
  expect(new URL(page.url()).pathname).toBe('/login')
})

it('opens by a link that is good once, on a port of this machine', async () => {
  const { link, url, close } = await serveConsole({
    client: product.client,
    jobs,
    actor: 'ada@laptop',
    consoleDir,
  })
  try {
    const { page, complaints } = await view(link)
    await page.waitForURL(`${url}/console`)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByText('ada@laptop').waitFor()
    expect(complaints).toEqual([])
    const another = await view(link)
    await another.page.getByRole('heading', { name: 'Log in first' }).waitFor()
  } finally {
    await close()
  }
})
