// A worker of many schedules.
import { createDatabaseClient } from '@roundsman/db'
import { createWorker } from '@roundsman/engine/worker'
import { migrate } from '@roundsman/engine/migrate'
import { log } from '../openServer.ts'
import { createSchedules } from './createSchedules.ts'

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
