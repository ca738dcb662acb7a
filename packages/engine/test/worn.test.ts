// Not quick: goes through many failures.
import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { defineJob, type Job } from '../src/index.ts'
import { createAnnouncer } from '../src/read/announcer.ts'
import { enqueueWork } from '../src/store/enqueueWork.ts'
import { createWaker } from '../src/store/waker.ts'
import { createClaimer } from '../src/work/claimer.ts'
import { createLane } from '../src/work/lane.ts'
import { createWakeUps } from '../src/work/wakeUps.ts'
import { expectLikeNew, type Counted, type Used } from './countCosts.ts'
import { openTestQueue, type TestQueue } from './openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from './openTestRuntime.ts'

const letter = defineJob({ name: 'letter', description: '' })
const parcel = defineJob({ name: 'parcel', description: '' })
const limited = defineJob({
  name: 'limited',
  description: '',
  rateLimit: { limit: 1_000_000, perMs: 1_000 },
})
const jobs = [letter, parcel, limited]

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  opened = await openTestQueue(runtime, jobs)
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

async function clear(): Promise<void> {
  await runtime.rows('truncate "JobRun", "JobClaim", "JobStart", "JobThrottle"')
  await runtime.rows('delete from pgboss.job')
}

/** Enqueues so many pieces without a wake-up, which would pause too. */
async function send(job: Job, count: number): Promise<void> {
  const work = Array.from({ length: count }, () => ({
    envelope: { payload: {}, trigger: 'queue' as const },
  }))
  const waker = { wake: () => undefined, cancel: () => undefined, stop: async () => undefined }
  await enqueueWork(
    { waker, log: runtime.log },
    { connection: runtime.database, isClient: true },
    job,
    work,
  )
}

const claimerOf = ({ database }: Counted) =>
  createClaimer({ database, workerId: 'w1', now: () => new Date() })

describe('after any ups and downs costs as much as a new one:', () => {
  const cases: [string, (counted: Counted) => Promise<Used> | Used][] = [
    ['a claimer', useClaimer],
    ['a lane', (counted) => useLane(counted, letter)],
    ['a lane with a rate limit', (counted) => useLane(counted, limited)],
    ['a waker', useWaker],
    ['an announcer', useAnnouncer],
    ['what waits for commits', useWakeUps],
  ]

  it.each(cases)('%s', async (_, open) => {
    await expectLikeNew(runtime, async (counted) => {
      await clear()
      return await open(counted)
    })
  })
})

function useClaimer(counted: Counted): Used {
  const claimer = claimerOf(counted)
  return {
    async call() {
      for (const job of jobs) await send(job, 1)
      const answers = await Promise.allSettled(jobs.map((job) => claimer.claim(job, 1)))
      return answers.map((answer) => answer.status === 'fulfilled' && answer.value.work.length)
    },
    stop: () => claimer.stop(),
  }
}

/** Each call brings two runs, which end once both are under way. */
async function useLane(counted: Counted, job: Job): Promise<Used> {
  let [executed, asking] = [0, 0]
  let both = Promise.withResolvers<void>()
  const claimer = claimerOf(counted)
  const lane = createLane({
    job,
    concurrency: 2,
    claimer: {
      async claim(...of) {
        asking++
        return await claimer.claim(...of).finally(() => asking--)
      },
    },
    log: counted.log,
    async execute() {
      if (lane.running() === 2) both.resolve()
      await both.promise
      executed++
    },
  })
  const becomesQuiet = () =>
    waitFor(
      async () => {
        await lane.idle()
        await new Promise(setImmediate)
        return asking === 0 && lane.running() === 0
      },
      { intervalMs: 1 },
    )
  lane.start()
  await becomesQuiet()
  return {
    async call() {
      both = Promise.withResolvers()
      const before = executed
      await send(job, 2)
      lane.wake()
      await waitFor(() => executed === before + 2, { intervalMs: 1 })
      await becomesQuiet()
    },
    async stop() {
      await lane.stop()
      claimer.stop()
    },
  }
}

function useWaker({ database, log, events }: Counted): Used {
  const waker = createWaker(database, log)
  return {
    async call() {
      const before = events.length
      waker.wake('letter', null)
      waker.wake('parcel', '1')
      // Only then it has paused, and told whatever else waited.
      await waitFor(() => events.slice(before).includes('pause'), { intervalMs: 1 })
    },
    stop: () => waker.stop(),
  }
}

/** Each call announces something else. */
function useAnnouncer({ database, log }: Counted): Used {
  let said: unknown[] = []
  const announcer = createAnnouncer(
    { ...database, query: (...of) => (said.push(of), database.query<never>(...of)) },
    log,
  )
  let calls = 0
  return {
    async call() {
      said = []
      announcer.tick(`job ${++calls}`)
      await announcer.stop()
      return JSON.stringify(said).match(/job/g)?.length
    },
    stop: () => announcer.stop(),
  }
}

/** Each call hears of a transaction that has ended, once. */
function useWakeUps({ database }: Counted): Used {
  const wakeUps = createWakeUps(database)
  return {
    async call() {
      const told: string[] = []
      const [row] = await runtime.rows<{ id: string }>('select pg_current_xact_id()::text as id')
      const hearer = { isWanted: () => true, onCommitted: (name: string) => void told.push(name) }
      wakeUps.hear(`letter ${row!.id}`, hearer)
      await waitFor(() => told.length > 0, { intervalMs: 1 })
      return told
    },
    stop: () => wakeUps.stop(),
  }
}
