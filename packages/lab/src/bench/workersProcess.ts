// Some workers of some jobs, with nothing to do but what waits and what their schedules say, until they are told to end.
import { setTimeout as pause } from 'node:timers/promises'
import { defineJob, type Job } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { followDriver } from '../followDriver.ts'
import { log, migrateEngine, openPrisma } from '../product.ts'

export interface WorkersSettings {
  databaseUrl: string
  workers?: number
  /** How many, `noop0` and so on, which all do nothing. */
  jobs?: number
  concurrency?: number
  /** Over all workers; with `perKey` the work has keys. Default: none. */
  limits?: { global?: number; perKey?: number } | undefined
  /** How long a run takes. Default: no time. */
  runMs?: number
  /** When each job is due. Default: never. */
  cron?: string
  /** After so many runs they say how long that took. */
  count?: number
}

const { settings, tell } = followDriver<WorkersSettings>()
const { databaseUrl, workers = 1, jobs = 1, concurrency = 1, limits, runMs, cron, count } = settings
let handled = 0
const everyHandled = Promise.withResolvers<void>()
const definitions = Array.from({ length: jobs }, (_, n) =>
  defineJob({
    name: `noop${n}`,
    concurrency: { perWorker: concurrency, ...limits },
    // What waits has its key already.
    ...(limits?.perKey !== undefined && { partition: { key: () => 'any' } }),
    ...(cron !== undefined && { schedule: { cron } }),
  }),
) as Job[]
const handle = async () => {
  if (runMs !== undefined) await pause(runMs)
  if (++handled === count) everyHandled.resolve()
}
await migrateEngine(databaseUrl)
const client = openPrisma(databaseUrl, 'bench')
const started = Array.from({ length: workers }, () =>
  createWorker({
    schema: 'public',
    retention: false,
    databaseUrl,
    client,
    jobs: definitions,
    handlers: Object.fromEntries(definitions.map(({ name }) => [name, handle])),
    log,
  }),
)
process.once('SIGTERM', () => {
  void Promise.all(started.map((worker) => worker.stop())).then(() => process.exit(0))
})
await Promise.all(started.map((worker) => worker.start()))
const startedAtMs = performance.now()
tell({ isReady: true })
await everyHandled.promise
tell({ handledMs: performance.now() - startedAtMs })
