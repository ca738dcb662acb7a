// A worker of many schedules.
import { defineJob, type Job } from '@roundsman/engine'
import { createDatabaseClient } from '@roundsman/db'
import { createWorker } from '@roundsman/engine/worker'
import { migrate } from '@roundsman/engine/migrate'
import { log } from '../openServer.ts'

const [, , url = '', count = '0'] = process.argv
const jobs = createSchedules(Number(count))
// The process that started this one is gone.
process.stdin.on('end', () => process.exit(1)).resume()

await migrate({ schema: 'public', databaseUrl: url, log })
const prisma = createDatabaseClient({
  url,
  applicationName: 'bench',
  onPoolError: () => undefined,
})
const handlers: Record<string, () => Promise<void>> = {}
for (const { name } of jobs) handlers[name] = async () => undefined
const worker = createWorker({
  schema: 'public',
  retention: false,
  databaseUrl: url,
  client: prisma,
  jobs,
  handlers,
  log,
})
process.once('SIGTERM', () => {
  void worker.stop().then(() => process.exit(0))
})
await worker.start()
process.stdout.write('ready\n')

/** That many jobs, each due every second, with the default policies. */
function createSchedules(length: number): Job[] {
  return Array.from({ length }, (_, index) =>
    defineJob({
      name: `everySecond${index}`,
      description: 'Does nothing, every second.',
      schedule: { cron: '* * * * * *' },
    }),
  ) as Job[]
}
