// Some workers of some jobs with nothing to do, or one worker that takes work until it is told to end.
import { createDatabaseClient } from '@roundsman/db'
import { defineJob, type Job } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { migrate } from '@roundsman/engine/migrate'
import { log } from '../openServer.ts'

const [, , url = '', workers = '1', jobs = '1', concurrency = '1', count = '0'] = process.argv
// The process that started this one is gone.
process.stdin.on('end', () => process.exit(1)).resume()

let handled = 0
const everyHandled = Promise.withResolvers<void>()
const definitions: Job[] = Array.from({ length: Number(jobs) }, (_, n) =>
  defineJob({
    name: n === 0 ? 'noop' : `noop${n}`,
    concurrency: Number(concurrency),
  }),
)
const handlers = Object.fromEntries(
  definitions.map(({ name }) => [
    name,
    async () => {
      if (++handled === Number(count)) everyHandled.resolve()
    },
  ]),
)
await migrate({ schema: 'public', databaseUrl: url, log })
const prisma = createDatabaseClient({ url, applicationName: 'bench', onPoolError: () => undefined })
const started = Array.from({ length: Number(workers) }, () =>
  createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs: definitions,
    handlers,
    log,
  }),
)
const stop = async () => {
  await Promise.all(started.map((worker) => worker.stop()))
  process.exit(0)
}
process.once('SIGTERM', () => void stop())
await Promise.all(started.map((worker) => worker.start()))
const startedAtMs = performance.now()
process.stdout.write('ready\n')
if (Number(count) > 0) {
  await everyHandled.promise
  process.stdout.write(`handled ${performance.now() - startedAtMs}\n`)
}
