// Not quick: goes through many failures.
import { openForTests, waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { openReader } from '../../src/client.ts'
import { createListener } from '../../src/database/listener.ts'
import { createAnnouncer } from '../../src/read/announcer.ts'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { CHANGES_CHANNEL, notify } from '../../src/database/channels.ts'
import { createSettler } from '../../src/run/settler.ts'
import { createWaker } from '../../src/database/waker.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createLane } from '../../src/work/lane.ts'
import type { Limits } from '../../src/work/limits.ts'
import { createSuspectLane } from '../../src/work/suspectLane.ts'
import { createTurns } from '../../src/work/turns.ts'
import { createWakeUps } from '../../src/work/wakeUps.ts'
import {
  countCosts,
  enqueueSilently,
  expectLikeNew,
  type Counted,
  type Used,
} from '../countCosts.ts'
import { openTestQueue, toEnd } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { openProxyTo } from '../openProxyTo.ts'

const letter = defineJob({ name: 'letter' })
const parcel = defineJob({ name: 'parcel' })
const limited = defineJob({
  name: 'limited',
  rateLimit: { limit: 1_000_000, perMs: 1_000 },
})
const jobs = [letter, parcel, limited]

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, jobs))

let limits: Limits
beforeAll(async () => {
  limits = await registeredLimits(runtime, jobs)
})

const claimerOf = ({ database }: Counted) =>
  createClaimer({ database, workerId: 'w1', now: () => new Date(), limits })

describe('after any ups and downs costs as much as a new one:', () => {
  const cases: [string, (counted: Counted) => Promise<Used> | Used][] = [
    ['a claimer', useClaimer],
    ['a lane', (counted) => useLane(counted, letter)],
    ['a lane with a rate limit', (counted) => useLane(counted, limited)],
    ['a settler', useSettler],
    ['a waker', useWaker],
    ['an announcer', useAnnouncer],
    ['what waits for commits', useWakeUps],
  ]

  it.each(cases)('%s', async (_, open) => {
    await expectLikeNew(runtime, async (counted) => {
      await runtime.clear('JobThrottle')
      return await open(counted)
    })
  })

  it('a listener, a watch of changes and a reader, whose connections were cut or refused', async () => {
    const fresh = await measureNetwork([])
    expect(fresh.connections).toBe(3)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('cut', 'refused'), { minLength: 1, maxLength: 3 }),
        async (faults) => {
          expect(await measureNetwork(faults)).toEqual(fresh)
        },
      ),
      { numRuns: 3 },
    )
  })
})

it('work that found no moment to run alone costs its worker no statement any more', async () => {
  await runtime.clear()
  const counted = countCosts(runtime)
  onTestFinished(counted.close)
  const turns = createTurns({ waitMs: 1, onOpen: () => undefined })
  // Another run, beside which it may not run.
  turns.enter()
  const lane = createSuspectLane({
    claimer: claimerOf(counted),
    turns,
    log: counted.log,
    perform: async () => undefined,
  })
  lane.wake(letter)
  await lane.idle()
  turns.leave()
  const isOpen = turns.isOpen()
  expect([counted.costs().statements, lane.running(), isOpen]).toEqual([0, 0, true])
})

/** What twenty announcements and readings cost after these faults. */
async function measureNetwork(faults: readonly ('cut' | 'refused')[]) {
  const { proxy, url } = await openProxyTo(runtime.url)
  const { log, database, lines } = runtime
  const heard: string[] = []
  let [reconnects, gaps] = [0, 0]
  const listener = createListener({
    url,
    applicationName: 'worn',
    answerTimeoutMs: 10_000,
    vanishedAfterMs: 15_000,
    log,
  })
  const of = { databaseUrl: url, schema: 'public', log }
  const watch = watchChanges({
    ...of,
    onChange: ({ names }) => void heard.push(`watch ${names[0]}`),
    onGap: () => gaps++,
  })
  const reader = openReader(of)
  try {
    await listener.listen(
      CHANGES_CHANNEL,
      (payload) => void heard.push(`listener ${JSON.parse(payload).names}`),
      () => reconnects++,
    )
    await waitFor(() => watch.isLasting())
    for (const [met, fault] of faults.entries()) {
      let refused = 0
      if (fault === 'refused') proxy.refuse(() => refused++ >= 0)
      proxy.cut()
      await reader.rows({ text: 'select 1' }).catch(() => undefined)
      if (fault === 'refused') await waitFor(() => refused >= 4)
      proxy.refuse(null)
      await waitFor(() => reconnects > met && gaps > met)
    }
    const before = lines.length
    heard.length = 0
    for (let n = 0; n < 20; n++) {
      const payload = JSON.stringify({ ids: [], names: [String(n)], ticks: [] })
      await notify(database, CHANGES_CHANNEL, [payload])
      await reader.rows({ text: 'select 1' })
    }
    await waitFor(() => heard.length >= 40)
    return {
      heard: heard.toSorted(),
      missed: [reconnects - faults.length, gaps - faults.length],
      lines: lines.length - before,
      connections: proxy.cut(),
    }
  } finally {
    await listener.stop()
    await watch.close()
    await reader.close()
    proxy.close()
  }
}

function useClaimer(counted: Counted): Used {
  const claimer = claimerOf(counted)
  return {
    async call() {
      for (const job of jobs) await enqueueSilently(runtime, job, 1)
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
    async perform() {
      if (lane.running() === 2) both.resolve()
      await both.promise
      executed++
    },
  })
  const becomesQuiet = () => isQuiet(() => asking + lane.running() > 0)
  lane.start()
  await becomesQuiet()
  return {
    async call() {
      both = Promise.withResolvers()
      const before = executed
      await enqueueSilently(runtime, job, 2)
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

/** Between a statement that failed and the next one, whoever tries again asks for nothing. */
const isQuiet = (isBusy: () => boolean) =>
  waitFor(
    async () => {
      for (let turns = 0; turns < 10; turns++) {
        await new Promise(setImmediate)
        if (isBusy()) return false
      }
      return true
    },
    { intervalMs: 1 },
  )

/** Each call ends twenty runs together, some of which have failed. */
function useSettler({ database, log }: Counted): Used {
  let asking = 0
  const query: typeof database.query = async (...asked) => {
    asking++
    return await database.query<never>(...asked).finally(() => asking--)
  }
  const settler = createSettler({ database: { ...database, query }, workerId: 'w1', log })
  const error = { code: 'broken', message: 'broken' }
  return {
    async call() {
      await enqueueSilently(runtime, letter, 20)
      const work = await opened.take('letter', 20)
      const outcomes = await Promise.all(
        work.map((taken, at) =>
          settler.settle(
            toEnd(taken, {
              details: JSON.stringify({ at }),
              ...(at % 4 === 0 && { error, next: { kind: 'dead' } }),
            }),
          ),
        ),
      )
      // A claim that a divided group has left goes a moment later, and is asked for again where no answer came.
      while ((await runtime.rows('select from "JobClaim"')).length > 0);
      await isQuiet(() => asking > 0)
      return outcomes.map(({ kind }) => kind)
    },
    stop: () => settler.stop(),
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
      const receiver = { isWanted: () => true, onCommitted: (name: string) => void told.push(name) }
      wakeUps.receive(`letter ${row!.id}`, receiver)
      await waitFor(() => told.length > 0, { intervalMs: 1 })
      return told
    },
    stop: () => wakeUps.stop(),
  }
}
