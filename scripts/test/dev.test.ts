// Processes: runs stacks.
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor, type SpawnedProcess } from '@roundsman/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { postgresPid, stillRunning } from './processes.ts'
import {
  makePlace,
  processesOf,
  runVerify,
  spawnStart,
  untilReady,
  WORKSPACE_ROOT,
  type StackPlace,
} from './stack.ts'

let place: StackPlace

beforeAll(async () => {
  place = await makePlace()
})

afterAll(async () => {
  await place.remove()
})

test(
  'reloads the process whose code changed, and that one only',
  { timeout: 120_000 },
  async () => {
    const start = spawnStart(place, {}, ['--dev'])
    await untilReady(start)
    expect(start.stdout.join('\n')).not.toContain('Building')
    expect(start.stdout.join('\n')).toContain('Reloads at each change.')

    await touch('apps/api/src/server.ts')
    await waitFor(() => count(start, 'API listening') === 2, { timeoutMs: 30_000 })
    await touch('apps/worker/src/main.ts')
    await waitFor(() => count(start, 'Jobs scheduler enabled') === 2, { timeoutMs: 30_000 })
    // The earlier process ended first, and the other one was left alone.
    expect(count(start, 'API stopped')).toBe(1)
    expect(count(start, 'worker stopped')).toBe(1)
    expect(count(start, 'API listening')).toBe(2)

    const before = await consoleScript()
    await touch('apps/console/src/main.tsx')
    await waitFor(() => count(start, 'built in') === 2, { timeoutMs: 30_000 })
    // The console was built by the process from the start, and served by the API that already ran.
    expect(await consoleScript()).toEqual(before)
    expect(count(start, 'API listening')).toBe(2)
    expect((await runVerify({ PORT: String(place.port) })).code).toBe(0)

    const pids = await processesOf(start, place)
    expect(await start.kill()).toEqual({ code: 0, signal: null })
    expect(await stillRunning(pids)).toEqual([])
    expect(await postgresPid(place.dataDir)).toBeUndefined()
  },
)

test('leaves no watcher behind when it is killed', { timeout: 120_000 }, async () => {
  const start = spawnStart(place, {}, ['--dev'])
  await untilReady(start)
  const pids = await processesOf(start, place)
  await start.kill('SIGKILL')
  await waitFor(async () => (await stillRunning(pids)).length === 0, { timeoutMs: 30_000 })
  expect(await postgresPid(place.dataDir)).toBeUndefined()
})

/** The script that the served page names, as it is served. */
async function consoleScript(): Promise<{ path: string; type: string | null }> {
  const url = `http://127.0.0.1:${place.port}`
  const page = await (await fetch(`${url}/console/jobs`)).text()
  const path = /<script type="module"[^>]* src="([^"]+)"/.exec(page)?.[1] ?? ''
  const script = await fetch(`${url}${path}`)
  expect([script.status, page]).toEqual([200, expect.stringContaining('/console/assets/')])
  return { path, type: script.headers.get('content-type') }
}

async function touch(file: string): Promise<void> {
  const now = new Date()
  await utimes(join(WORKSPACE_ROOT, file), now, now)
}

function count({ stdout }: SpawnedProcess, text: string): number {
  return stdout.filter((line) => line.includes(text)).length
}
