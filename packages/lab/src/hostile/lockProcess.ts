// A worker that writes each of its calls down by itself, and tells whether it is ready, while others lock what it needs.
import { setTimeout as pause } from 'node:timers/promises'
import { JobError } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { createLogger } from '@roundsman/node-app'
import pg from 'pg'
import { followDriver } from '../followDriver.ts'
import { lockedJobs } from './lockedWork.ts'

export interface LockSettings {
  databaseUrl: string
}

const { settings, tell, runWorker } = followDriver<LockSettings>()
const { databaseUrl } = settings
const open = (name: string, max: number) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, application_name: name, max })
  return pool.on('error', () => undefined)
}
const client = open('hostile locks', 10)
const calls = open('hostile calls', 4)
const worker = createWorker({
  schema: 'public',
  retention: false,
  databaseUrl,
  client,
  jobs: lockedJobs,
  handlers: {
    lockedTick: async () => undefined,
    neighbourTick: async () => undefined,
    async lockedWork({ payload: { endAt, fails, hasBatch }, run, batch, signal }) {
      await calls.query('insert into "Call" values ($1)', [run.id])
      await pause(Math.max(0, endAt - Date.now()), undefined, { signal })
      if (hasBatch) await batch(async () => ({ batched: 1 }))
      if (fails) throw new JobError('told', 'as it was told', { retryable: false })
    },
  },
  log: createLogger({ app: 'locks', level: 'warn' }),
  drainTimeoutMs: 2_000,
})
await runWorker(worker)
setInterval(() => tell({ isReady: worker.isReady() }), 200)
