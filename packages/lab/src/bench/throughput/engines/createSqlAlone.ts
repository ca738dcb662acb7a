import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from '@roundsman/engine'
import {
  CLAIM_STATEMENT,
  connectionSettings,
  type NamedStatement,
  WRITE_PLAIN_STATEMENT,
} from '@roundsman/engine/internal'
import { createWorker } from '@roundsman/engine/worker'
import pg from 'pg'
import type { CreateEngine } from '../engine.ts'
import { createRoundsman } from './createRoundsman.ts'
import { createClient, log, migrateEngine, openPrisma } from '../../../product.ts'

export interface SqlAloneSettings {
  /** At once, each taking and settling so many pieces of work in turn. */
  connections: number
  batch: number
}

/** A statement as the worker has sent it. */
interface Sent {
  name?: string
  text: string
  values: readonly unknown[]
}

const RECORDED = 12
/** As they come, since making objects of them is Node's work. */
const AS_TEXTS = { getTypeParser: () => String }

/**
 * The statements by which a worker takes work and settles it, sent by bare connections with no handler in between: what
 * PostgreSQL itself allows. A worker of another job lives beside them, as whom they take it, and whose statements they are.
 */
export const createSqlAlone: CreateEngine<SqlAloneSettings> = async (
  url,
  { connections, batch },
) => {
  const queue = await createRoundsman(url, { concurrency: 1 })
  const worker = await startRecorded(url)
  // As the worker's own: without the compiler of expensive plans.
  const pool = new pg.Pool({ ...connectionSettings(url), max: connections })

  async function takeAndSettle(onHandled: (n: number) => void): Promise<void> {
    const { claim, end } = worker
    let place = '0'
    for (;;) {
      const claimId = randomUUID()
      const { rows, fields } = await pool.query<string[]>({
        ...claim,
        rowMode: 'array',
        types: AS_TEXTS,
        values: replaced(CLAIM_STATEMENT, claim.values, {
          names: ['noop'],
          most: [batch],
          claimIds: [claimId],
          startedAt: new Date(),
          // Behind the last place that it has seen.
          requests: [1],
          ranks: [0],
          places: [place],
          ends: [0],
        }),
      })
      // It says that the worker lives, and has no work.
      rows.pop()
      if (rows.length === 0) return
      const column = (wanted: string) => {
        const at = fields.findIndex(({ name }) => name === wanted)
        return rows.map((row) => row[at] as string)
      }
      place = column('place').reduce((last, next) => (BigInt(next) > BigInt(last) ? next : last))
      for (let n = 0; n < rows.length; n++) onHandled(n)
      await pool.query({
        ...end,
        values: replaced(WRITE_PLAIN_STATEMENT, end.values, {
          claims: [claimId],
          // A first attempt has the id of its work.
          runIds: column('id'),
          endedAtMs: repeated(Date.now(), rows.length),
          details: repeated(null, rows.length),
          places: repeated(1, rows.length),
          over: [claimId],
        }),
      })
    }
  }

  return {
    ...queue,
    async start(onHandled) {
      await Promise.all(Array.from({ length: connections }, () => takeAndSettle(onHandled)))
    },
    async count() {
      const { left, audited } = await queue.count()
      return { left, audited: (audited ?? NaN) - RECORDED }
    },
    async close() {
      await pool.end()
      await worker.stop()
      await queue.close()
    },
  }
}

/** The values that the worker has sent, except those of these parameters. */
function replaced(
  { parameters }: NamedStatement,
  sent: readonly unknown[],
  by: Record<string, unknown>,
): unknown[] {
  const unknown = Object.keys(by).find((name) => !parameters.includes(name))
  if (unknown !== undefined) throw new Error(`The statement has no parameter ${unknown}`)
  return parameters.map((name, at) => (name in by ? by[name] : sent[at]))
}

function repeated<Value>(value: Value, count: number): Value[] {
  return Array.from({ length: count }, () => value)
}

/**
 * A worker that has done some work, with what it sent in doing so: to take some when there is more, and to write the ends
 * of runs.
 */
async function startRecorded(
  url: string,
): Promise<{ claim: Sent; end: Sent; stop: () => Promise<void> }> {
  const job = defineJob({ name: 'recorded', concurrency: RECORDED / 3 })
  await migrateEngine(url)
  const prisma = openPrisma(url, 'bench')
  const client = createClient(url)
  const sent: Sent[] = []
  const query = pg.Client.prototype.query
  pg.Client.prototype.query = function (this: pg.Client, ...statement: unknown[]) {
    const [first] = statement
    if (typeof first === 'object' && first !== null && 'values' in first) sent.push(first as Sent)
    return (query as (...all: unknown[]) => never).apply(this, statement)
  }
  let ended = 0
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: prisma,
    jobs: [job],
    handlers: { recorded: async () => void ended++ },
    log,
  })
  await client.start()
  await client.enqueueManyNow(
    job,
    Array.from({ length: RECORDED }, () => ({ payload: {} })),
  )
  await client.stop()
  await worker.start()
  const find = (...words: string[]) =>
    sent.find(({ text, name = '' }) => words.every((word) => `${name} ${text}`.includes(word)))
  while (ended < RECORDED || (await prisma.jobRun.count()) < RECORDED) await pause(5)
  pg.Client.prototype.query = query
  const claim = find('roundsman_claim ')
  const end = find('insert into "JobRun"', '"end"(id, "atMs", details, claim)')
  if (!claim || !end) throw new Error('The worker took and settled work by other statements')
  return {
    claim,
    end,
    async stop() {
      await worker.stop()
      await prisma.$disconnect()
    },
  }
}
