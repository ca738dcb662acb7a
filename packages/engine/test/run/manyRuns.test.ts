// Processes: has a worker carry out five thousand runs.
import { join } from 'node:path'
import { spawnProcess, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import type { Job } from '../../src/index.ts'
import { WORK_LEFT } from '../readWorkStates.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import {
  excludes,
  fails,
  limited,
  overruns,
  reports,
  retries,
  succeeds,
  waits,
  type Look,
} from '../fixtures/manyRuns.ts'

const ENTRY = join(import.meta.dirname, '../fixtures/manyRunsProcess.ts')
const ACTOR = { actor: 'somebody', reason: 'a test' }
const PATIENCE = { timeoutMs: 150_000, intervalMs: 300 }
/** Some 500 bytes a run: a run that is kept, with its abort and its context, takes more. */
const MAX_GROWTH_BYTES = 2_200_000

const { runtime, client } = useClientRuntime()

async function enqueue(job: Job, count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, index) => ({
    payload: (job === fails ? { code: `code_${index}` } : {}) as never,
  }))
  if (count > 0) await client.enqueueManyNow(job, items)
}

/** Enqueues about so many thousand runs of all kinds. Resolves when all have ended. */
async function carryOut(thousands: number): Promise<void> {
  await enqueue(succeeds, 430 * thousands)
  await enqueue(fails, 150 * thousands)
  await enqueue(retries, 50 * thousands)
  await enqueue(overruns, 50 * thousands)
  await enqueue(reports, 100 * thousands)
  await enqueue(limited, 100 * thousands)
  await enqueue(waits, 20 * thousands)
  const asked = [...Array(25 * thousands).keys()].map(() => [reports, true] as const)
  const exclusive = [...Array(25 * thousands).keys()].map(() => [excludes, false] as const)
  for (const [job, dryRun] of [...asked, ...exclusive]) {
    await client.requestRun(job, { ...ACTOR, dryRun })
  }
  await waitFor(async () => {
    const held = await runtime.rows<{ id: string }>(
      `select "id" from "JobRunAll" where "name" = 'waits' and "status" = 'running'
         and "cancelRequestedAt" is null`,
    )
    for (const { id } of held) await client.cancelRun(id, ACTOR)
    const [left] = await runtime.rows<{ isOver: boolean }>(
      `select not exists (select from ${WORK_LEFT} where state in ('created', 'retry', 'active'))
         and not exists (select from "JobRunAll" where "status" = 'running')
         -- Let go a moment later, several at once.
         and not exists (select from "JobClaim" where "runIds" <> '{}') as "isOver"`,
    )
    return left?.isOver
  }, PATIENCE)
}

describe('a worker after five thousand runs of all kinds', () => {
  it('has kept nothing of them', async () => {
    const worker = spawnProcess(ENTRY, {
      args: [runtime.url],
      env: { NODE_OPTIONS: '--expose-gc' },
      hasInput: true,
    })
    await worker.waitForLine('ready', { timeoutMs: 60_000 })
    let looks = 0
    const look = async (): Promise<Look> => {
      worker.stdin.write('look\n')
      looks++
      const lines = () => worker.stdout.filter((line) => line.startsWith('{"asksAbout"'))
      await waitFor(() => lines().length === looks, { timeoutMs: 30_000 })
      return JSON.parse(lines().at(-1) ?? '') as Look
    }
    await carryOut(1)
    const before = await look()
    await carryOut(4)
    const after = await look()

    const statuses = await runtime.rows<{ name: string; code: string | null; count: number }>(
      `select "name", case "name" when 'fails' then null else "errorCode" end as code, count(*)::int as count
       from "JobRun" group by 1, 2 order by 1, 2`,
    )
    expect(statuses.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(5_000)
    const codes = new Set(statuses.map(({ code }) => code))
    expect(codes).toEqual(new Set([null, 'handler_failed', 'timeout', 'cancelled']))
    expect(before.asksAbout).toBe(0)
    expect(after.asksAbout).toBe(0)
    expect(after.listeners).toEqual(before.listeners)
    // Pools may have grown meanwhile, up to their limits.
    expect(after.resources['Timeout']).toBeLessThanOrEqual((before.resources['Timeout'] ?? 0) + 2)
    expect(after.heapBytes - before.heapBytes).toBeLessThan(MAX_GROWTH_BYTES)
    void worker.kill()
    expect(await worker.exited).toEqual({ code: 0, signal: null })
  }, 400_000)
})
