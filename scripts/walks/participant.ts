// A worker or a client of the engine at `root`, which counts the calls of the engine's functions. main.ts sends it orders.
import { Session } from 'node:inspector'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type * as Index from '@roundsman/engine'
import type * as ClientEntry from '@roundsman/engine/client'
import type * as MigrateEntry from '@roundsman/engine/migrate'
import type * as WorkerEntry from '@roundsman/engine/worker'
import type Pg from 'pg'

/** `watched` takes the work that ends; `lost1` and `lost2` take the job of that name alone, whose runs never end. */
export type Role = 'client' | 'watched' | 'lost1' | 'lost2'
export type JobName = 'noop' | 'ticked' | 'lost1' | 'lost2'

export interface ParticipantSettings {
  /** The checkout whose engine it loads. */
  root: string
  databaseUrl: string
  role: Role
}

export type Order =
  /** `watched` needs the schedule of `ticked`, which it alone has. */
  | { do: 'start'; cron?: string }
  | { do: 'take' }
  | { do: 'enqueue'; job: JobName }
  | { do: 'state'; job: JobName; id: string }

/** A function that was called, with its position in a file of the engine's sources. */
export interface Called {
  name: string
  file: string
  start: number
  end: number
}

export type Report =
  | { kind: 'ready' }
  | { kind: 'started' }
  /** With what was called since the last report of that kind. */
  | { kind: 'taken' | 'ticked'; called: Called[] }
  | { kind: 'enqueued'; id: string; called: Called[] }
  | { kind: 'state'; state: string | undefined }

const { root, databaseUrl, role } = JSON.parse(process.argv[2] ?? '') as ParticipantSettings
const sources = pathToFileURL(join(root, 'packages/engine/src/')).href
const load = async <Entry>(file: string) => (await import(`${sources}${file}`)) as Entry

// Before the engine is loaded. A session with its own thread answers within the call.
const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

const { defineJob } = await load<typeof Index>('index.ts')
const { createWorker } = await load<typeof WorkerEntry>('worker.ts')
const { createJobsClient, getWork } = await load<typeof ClientEntry>('client.ts')
const { migrate } = await load<typeof MigrateEntry>('migrate.ts')
const pg = createRequire(join(root, 'packages/engine/package.json'))('pg') as typeof Pg

const noop = defineJob({ name: 'noop' })
const lost1 = defineJob({ name: 'lost1' })
const lost2 = defineJob({ name: 'lost2' })
const pool = new pg.Pool({ connectionString: databaseUrl })
const client = createJobsClient({ databaseUrl })
const quiet = () => undefined
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }

process.once('disconnect', () => process.exit())
process.on('message', (order) => void obey(order as Order).then(tell))
tell({ kind: 'ready' })

async function obey(order: Order): Promise<Report> {
  switch (order.do) {
    case 'start':
      await (role === 'client' ? startClient() : startWorker(order.cron))
      return { kind: 'started' }
    case 'take':
      return { kind: 'taken', called: takeCalled() }
    case 'enqueue':
      return { kind: 'enqueued', ...(await enqueue(order.job)) }
    case 'state':
      return { kind: 'state', state: await findState(order.job, order.id) }
    default:
      return order satisfies never
  }
}

async function findState(name: JobName, id: string): Promise<string | undefined> {
  return (await getWork(client.reader, { name }, id))?.kind
}

async function startClient(): Promise<void> {
  await migrate({ databaseUrl })
  await client.start()
}

async function startWorker(cron = ''): Promise<void> {
  const shared = { databaseUrl, client: pool, log, retention: false } as const
  const hold = () => new Promise<void>(quiet)
  const handlers = { lost1: hold, lost2: hold }
  const worker =
    role === 'watched'
      ? createWorker({
          ...shared,
          jobs: [noop, lost1, lost2, defineJob({ name: 'ticked', schedule: { cron } })],
          handlers: {
            ...handlers,
            noop: async () => undefined,
            ticked: async () => tell({ kind: 'ticked', called: takeCalled() }),
          },
          except: ['lost1', 'lost2'],
        })
      : createWorker({ ...shared, jobs: [lost1, lost2], handlers, only: [role as 'lost1'] })
  await worker.start()
}

async function enqueue(job: JobName): Promise<{ id: string; called: Called[] }> {
  const tx = await pool.connect()
  takeCalled()
  await tx.query('begin')
  const { workId: id } = await client.enqueue(tx, { noop, lost1, lost2 }[job as 'noop'], {})
  await tx.query('commit')
  tx.release()
  // Includes what the client does beside the transaction.
  await pause(500)
  return { id, called: takeCalled() }
}

function takeCalled(): Called[] {
  const called: Called[] = []
  session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
    for (const { url, functions } of result) {
      if (!url.startsWith(sources)) continue
      for (const { functionName: name, ranges } of functions) {
        const [range] = ranges
        if (range === undefined || range.count === 0) continue
        const { startOffset: start, endOffset: end } = range
        called.push({ name, file: url.slice(sources.length), start, end })
      }
    }
  })
  return called
}

function tell(report: Report): void {
  process.send?.(report)
}
