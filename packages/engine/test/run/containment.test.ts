// Not quick: starts processes.
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'
import { CREATE_EFFECTS, guilty, innocent, jobs, type Harm } from '../fixtures/guilty.ts'

const PROCESS = new URL('../fixtures/guiltyProcess.ts', import.meta.url).pathname
/** Two beside others, and then five alone. */
const CRASHES = 7

let runtime: TestRuntime
let client: JobsClient
let supervisor: Supervisor

interface Supervisor {
  starts(): number
  stop(): Promise<void>
}

/** Starts a worker again whenever it has ended. */
function supervise(): Supervisor {
  const children: SpawnedProcess[] = []
  let isStopped = false
  const watch = async (): Promise<void> => {
    while (!isStopped) {
      const child = spawnProcess(PROCESS, {
        args: [runtime.url, JSON.stringify({ drainTimeoutMs: 500 })],
        // What fills it is an array of ordinary size.
        env: { NODE_OPTIONS: '--max-old-space-size=128' },
      })
      children.push(child)
      await child.exited
    }
  }
  const watching = watch()
  return {
    starts: () => children.length,
    async stop() {
      isStopped = true
      await children.at(-1)?.kill('SIGKILL')
      await watching
    },
  }
}

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  await runtime.rows(CREATE_EFFECTS)
  client = createJobsClient({ databaseUrl: runtime.url, log: runtime.log })
  await client.start()
})

afterAll(async () => {
  await client.stop()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.rows('truncate "JobRun", "JobClaim", "JobTick", "JobSchedule", "Effect"')
  await runtime.rows('delete from pgboss.job')
})

afterEach(() => supervisor.stop())

const enqueueInnocent = (n: number, ms: number) =>
  runtime.prisma.$transaction((tx) => client.enqueue(tx, innocent, { n, ms }))

describe('work that ends its process whenever it runs', { timeout: 300_000 }, () => {
  it.each(['exit', 'abort', 'memory', 'loop', 'emitter'] satisfies Harm[])(
    '%s: is a dead letter after seven crashes, and costs work beside it nothing but time',
    async (harm) => {
      await enqueueInnocent(1, 5_000)
      await runtime.prisma.$transaction((tx) => client.enqueue(tx, guilty, { harm }))
      supervisor = supervise()
      let n = 1
      await waitFor(
        async () => {
          // Nobody waits for the back-off here; and others come, again and again.
          await runtime.rows(
            `update pgboss.job set start_after = now() where state = 'retry' and start_after > now()`,
          )
          if (n < 10) await enqueueInnocent(++n, 10)
          const left = await runtime.rows(`select from pgboss.job where state < 'completed'`)
          return n === 10 && left.length === 0
        },
        { timeoutMs: 280_000, intervalMs: 500 },
      )

      expect(
        await runtime.rows(
          `select name, state::text, data ->> 'lost' as lost, data ->> 'lostAlone' as alone from pgboss.job`,
        ),
      ).toEqual([{ name: 'guilty', state: 'failed', lost: '7', alone: '5' }])
      expect(
        await runtime.rows(
          `select "errorCode" as code, count(*)::int as n from "JobRun" where "name" = 'guilty' group by 1`,
        ),
      ).toEqual([{ code: 'worker_lost', n: CRASHES }])
      // Each has its effect once, from the run that succeeded.
      expect(
        await runtime.rows(
          `select effect.n from "Effect" effect join "JobRun" run on run."id" = effect."runId"
           where run."status" = 'success' order by effect.n`,
        ),
      ).toEqual(Array.from({ length: 10 }, (_, index) => ({ n: index + 1 })))
      expect(supervisor.starts()).toBe(CRASHES + 1)
      expect(await runtime.rows('select from "JobClaim"')).toEqual([])
    },
  )
})
