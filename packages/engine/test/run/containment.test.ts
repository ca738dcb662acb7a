// Processes: runs workers that their work ends.
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { createJobsClient } from '../../src/client.ts'
import { WORK_LEFT } from '../readWorkStates.ts'
import { openTestRuntime } from '../openTestRuntime.ts'
import { CREATE_EFFECTS, guilty, innocent, type Harm } from '../fixtures/guilty.ts'

const PROCESS = new URL('../fixtures/guiltyProcess.ts', import.meta.url).pathname
/** Two beside other work, and then five alone. */
const CRASHES = 7

interface Supervisor {
  starts(): number
  /** What the handlers say that they do. */
  harms(): Harm[]
  stop(): Promise<void>
}

/** Starts a worker again whenever it ends. */
function supervise(url: string): Supervisor {
  const children: SpawnedProcess[] = []
  let isStopped = false
  const watch = async (): Promise<void> => {
    while (!isStopped) {
      const child = spawnProcess(PROCESS, {
        args: [url, JSON.stringify({ drainTimeoutMs: 500 })],
        env: { NODE_OPTIONS: '--max-old-space-size=128' },
      })
      children.push(child)
      await child.exited
    }
  }
  const watching = watch()
  return {
    starts: () => children.length,
    harms: () =>
      children.flatMap(({ stdout }) =>
        stdout
          .filter((line) => line.includes('"msg":"harming"'))
          .map((line) => (JSON.parse(line) as { harm: Harm }).harm),
      ),
    async stop() {
      isStopped = true
      await children.at(-1)?.kill('SIGKILL')
      await watching
    },
  }
}

describe(
  'work that ends its process whenever it runs',
  { concurrent: true, timeout: 300_000 },
  () => {
    // Beside other work it exits and loops, alone it does everything.
    it.for<readonly Harm[]>([['exit', 'loop', 'abort', 'memory', 'emitter', 'exit', 'loop']])(
      'is a dead letter after seven crashes, and costs work beside it nothing but time: first %s',
      async (harms, { onTestFinished }) => {
        const runtime = await openTestRuntime()
        onTestFinished(runtime.close)
        await runtime.rows(CREATE_EFFECTS)
        const client = createJobsClient({
          schema: 'public',
          databaseUrl: runtime.url,
          log: runtime.log,
        })
        await client.start()
        onTestFinished(client.stop)
        const enqueueInnocent = (n: number, ms: number) =>
          runtime.prisma.$transaction((tx) => client.enqueue(tx, innocent, { n, ms }))
        await enqueueInnocent(1, 5_000)
        await runtime.prisma.$transaction((tx) => client.enqueue(tx, guilty, { harms: [...harms] }))
        const supervisor = supervise(runtime.url)
        onTestFinished(supervisor.stop)
        let n = 1
        await waitFor(
          async () => {
            // Skips the back-off, and goes on enqueueing innocent work.
            await runtime.rows(`update "JobWork" set "dueAt" = now() where "dueAt" > now()`)
            if (n < 10) {
              await enqueueInnocent(n + 1, 10)
              n++
            }
            const left = await runtime.rows(
              `select from ${WORK_LEFT} where state in ('created', 'retry', 'active')`,
            )
            return n === 10 && left.length === 0
          },
          { timeoutMs: 280_000, intervalMs: 500 },
        )

        expect(
          await runtime.rows(
            `select "name", "losses", "lossesAlone" from "JobDeadLetter"
             union all select "name", "losses", "lossesAlone" from "JobWork"`,
          ),
        ).toEqual([{ name: 'guilty', losses: 7, lossesAlone: 5 }])
        expect(
          await runtime.rows(
            `select "errorCode" as code, count(*)::int as n from "JobRun" where "name" = 'guilty' group by 1`,
          ),
        ).toEqual([{ code: 'worker_lost', n: CRASHES }])
        // Each piece has its effect once, from the run that succeeded.
        expect(
          await runtime.rows(
            `select effect.n from "Effect" effect join "JobRun" run on run."id" = effect."runId"
           where run."status" = 'success' order by effect.n`,
          ),
        ).toEqual(Array.from({ length: 10 }, (_, index) => ({ n: index + 1 })))
        // Where its worker ends the last run itself, the process ends a moment later.
        await waitFor(() => supervisor.starts() > CRASHES, { timeoutMs: 60_000 })
        expect(supervisor.starts()).toBe(CRASHES + 1)
        expect(supervisor.harms()).toEqual(harms)
        // A worker lets a claim go in a statement of its own, after the last run.
        await waitFor(async () => (await runtime.rows('select from "JobClaim"')).length === 0, {
          timeoutMs: 60_000,
        })
      },
    )
  },
)
