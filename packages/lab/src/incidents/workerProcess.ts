// A worker that takes some of the jobs, as a version of the product.
import { hostname } from 'node:os'
import { createWorker } from '@roundsman/engine/worker'
import { followDriver } from '../followDriver.ts'
import { log, openPrisma } from '../product.ts'
import { createIncidentHandlers, incidentJobs } from './incidentJobs.ts'
import type { WorkerSettings } from './openShop.ts'

const { settings, runWorker } = followDriver<WorkerSettings>()
const { databaseUrl, takes, version, cron, aheadMs } = settings
const client = openPrisma(databaseUrl, `roundsman ${hostname()}:${process.pid} shop`)
const own = incidentJobs(cron).filter(({ name }) => takes.includes(name))
const all = createIncidentHandlers(client)
await runWorker(
  createWorker({
    schema: 'public',
    databaseUrl,
    client,
    version,
    now: () => new Date(Date.now() + aheadMs),
    // Nobody waits for what does not end.
    drainTimeoutMs: 1_000,
    jobs: own,
    handlers: Object.fromEntries(own.map(({ name }) => [name, all[name]])) as never,
    retention: takes.includes('pruneJobRuns') ? {} : false,
    log,
  }),
)
