// `pnpm test:first-hour`: from an empty Next.js product to a finished run in an open console, by two commands.
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { makeServerFolder, openBrowser, waitFor } from '@roundsman/testing'
import { foreignEnvironment } from './foreignEnvironment.ts'
import { openHost } from './openHost.ts'
import { startRegistry } from './startRegistry.ts'

/** What the README promises. */
const MAX_SECONDS = 90
const INIT = 'npx --yes roundsman init --yes'
const DEV = 'npx roundsman dev'
const CREATE = `npx --yes create-next-app@16.4.3 . --empty --ts --app --no-src-dir --import-alias '@/*' --no-linter --no-tailwind --no-react-compiler --no-agents-md --use-npm --disable-git`

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => stop.abort(new Error(`Stopped by ${name}`)))
}
const folder = await makeServerFolder('roundsman-first-hour-', tmpdir())
try {
  const seconds = await measure(stop.signal)
  process.stdout.write(`${seconds.toFixed(1)} s from ${INIT} to a finished run in the console\n`)
  if (seconds > MAX_SECONDS) process.exitCode = 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function measure(signal: AbortSignal): Promise<number> {
  const registry = await startRegistry(folder, signal)
  const env = { ...foreignEnvironment(), npm_config_ignore_scripts: 'false' }
  const host = await openHost({ name: 'shop', folder, env, signal })
  try {
    host.setRegistry(registry.env)
    await host.run(CREATE)
    await host.commit('Empty')
    const startedAt = performance.now()
    await host.run(INIT)
    host.start(DEV)
    const link = await waitFor(() => /The console: (\S+)/.exec(host.output())?.[1], {
      timeoutMs: 2 * MAX_SECONDS * 1_000,
      message: 'The address of the console',
    })
    await seeRun(link)
    return (performance.now() - startedAt) / 1_000
  } catch (error) {
    throw new Error(`${String(error)}\n${host.output()}`, { cause: error })
  } finally {
    await host.stop()
    await registry.close()
  }
}

/** Opens the console in a browser, and waits until the first run has ended there. */
async function seeRun(link: string): Promise<void> {
  const browser = await openBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(link)
    await page.goto(new URL('/console/runs?status=success', link).href)
    await page
      .getByText('measureDatabase')
      .filter({ visible: true })
      .first()
      .waitFor({
        timeout: MAX_SECONDS * 1_000,
      })
  } finally {
    await browser.close()
  }
}
