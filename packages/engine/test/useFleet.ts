import { openForTests } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach } from 'vitest'
import type { Job } from '../src/index.ts'
import { containedLog } from '../src/database/containedLog.ts'
import type { Database } from '../src/database/database.ts'
import { setTestTime } from '../src/tables/testSchema.ts'
import { openTestJobs } from '../src/testing.ts'
import { createScheduler } from '../src/tick/scheduler.ts'
import { noClock } from './fixtures/noClock.ts'
import { useOwnDatabase } from './useOwnDatabase.ts'
import { usePlainClient } from './usePlainClient.ts'

type SchedulerOptions = Parameters<typeof createScheduler>[0]

/** Runs schedulers of several workers on one database, whose time stands at `start` when a test begins. */
export function useFleet(start: string) {
  const { database, client } = usePlainClient()
  const test = openForTests(() =>
    openTestJobs({ databaseUrl: database.url, client, jobs: [], handlers: {} }),
  )
  const own: Database = useOwnDatabase(database, test)
  /** Holds the locks of the workers that live. */
  const locks = openForTests(async () => {
    const opened = new pg.Client(database.url)
    await opened.connect()
    return { query: opened.query.bind(opened), close: () => opened.end() }
  })
  const rows = async <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> =>
    (await own.query<Row & { [column: string]: unknown }>(text, values)).rows
  const lines: { [field: string]: unknown }[] = []
  const add = (msg: unknown, about?: unknown) => void lines.push({ ...(about as object), msg })
  const log = containedLog({ warn: add, error: add })
  let started = 0
  const schedulers: ReturnType<typeof createScheduler>[] = []

  afterEach(async () => {
    await Promise.all(schedulers.splice(0).map((scheduler) => scheduler.stop()))
  })
  beforeEach(reset)

  /** Removes all workers and all records, and sets the time to `start`. */
  async function reset(): Promise<void> {
    lines.length = 0
    await test.reset()
    await locks.query('select pg_advisory_unlock_all()')
    await rows('delete from "JobWorker"')
    await rows('delete from "JobFormerWorker"')
    await at(start)
  }

  async function at(time: string): Promise<void> {
    await setTestTime(own, new Date(time))
  }

  /** Signs a worker up, whose lock is held. */
  async function signUp(id: string, jobs: readonly string[], version: string | null = null) {
    await locks.query('select pg_advisory_lock(hashtextextended($1, 0))', [id])
    await rows(
      `insert into "JobWorker" ("id", "startedAt", "version", "jobs")
       values ($1, now() + $2 * interval '1 millisecond', $3, $4)`,
      [id, started++, version, jobs],
    )
  }

  return {
    rows,
    lines,
    at,
    reset,
    signUp,
    own,
    client: test,
    kill: (id: string) => locks.query('select pg_advisory_unlock(hashtextextended($1, 0))', [id]),
    /** Starts a worker's scheduler, which makes a round when it is woken. */
    async start(
      id: string,
      jobs: readonly Job[],
      { version = null, ...more }: Partial<SchedulerOptions> & { version?: string | null } = {},
    ) {
      const names = jobs.map(({ name }) => name)
      await signUp(id, names, version)
      const scheduler = createScheduler({ jobs, database: own, workerId: id, log, ...more })
      schedulers.push(scheduler)
      await scheduler.start(noClock)
      await scheduler.wake()
      return scheduler
    },
    /** The ledger of the code's own schedules: time of the day, outcome. */
    ledger: async () =>
      (
        await rows<{ at: Date; outcome: string }>(
          `select "scheduledFor" as at, "outcome" from "JobTick" order by "name", "scheduledFor"`,
        )
      ).map(({ at: tick, outcome }) => `${tick.toISOString().slice(11, 19)} ${outcome}`),
  }
}
