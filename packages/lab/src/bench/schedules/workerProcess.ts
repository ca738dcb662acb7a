// A worker of many schedules.
import { createDatabaseClient } from '@roundsman/db'
import { createWorker, migrateQueue } from '@roundsman/engine/worker'
import { log } from '../openServer.ts'
import { createSchedules } from './createSchedules.ts'

const [, , url = '', count = '0'] = process.argv
const jobs = createSchedules(Number(count))
// Whoever started it is gone.
process.stdin.on('end', () => process.exit(1)).resume()

await migrateQueue({ databaseUrl: url, jobs, log })
const prisma = createDatabaseClient({
  url,
  applicationName: 'bench',
  onPoolError: () => undefined,
})
const handlers: Record<string, () => Promise<void>> = {}
for (const { name } of jobs) handlers[name] = async () => undefined
const worker = createWorker({
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
