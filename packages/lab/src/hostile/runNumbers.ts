import { getManyWork, type JobsClient } from '@roundsman/engine/client'
import { ArgumentError, defineJob, type EnqueueOptions } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { waitFor } from '@roundsman/testing'
import {
  asOptions,
  instants,
  isStorable,
  JOB_NUMBERS,
  positive,
  PRIORITY,
  takenNumbers,
  WORKER_NUMBERS,
  YEAR_MS,
} from '@roundsman/testing/hostileNumbers'
import fc from 'fast-check'
import pg from 'pg'
import { z } from 'zod'
import type { DatabasePlace, Draws, PartResult } from './parts.ts'
import { createClient, migrateEngine } from '../product.ts'

/** An isolated handler has a file of its own. */
const { 'isolate.memoryMb': _, ...ofJob } = JOB_NUMBERS
type At = { startAfter?: Date; expiresAt?: Date }
const drawnAt: fc.Arbitrary<At> = fc.record(
  { startAfter: instants, expiresAt: instants },
  { requiredKeys: [] },
)
const drawn = fc.record({
  worker: takenNumbers(WORKER_NUMBERS),
  job: takenNumbers(ofJob),
  rateLimit: fc.option(takenNumbers({ limit: positive(), perMs: positive(YEAR_MS) })),
  pieces: fc.array(
    fc.record({
      options: takenNumbers({ priority: PRIORITY, maxWaitMs: positive(10 * YEAR_MS) }),
      at: fc.oneof(fc.constant<At>({}), drawnAt),
      postponedTo: fc.option(instants, { freq: 1 }),
      fails: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
})
type Drawn = typeof drawn extends fc.Arbitrary<infer Value> ? Value : never

/** A worker on a busy machine starts a piece within seconds. */
const SOON_MS = 30_000
/** A run that may take less may be aborted before its handler has returned. */
const ENOUGH_MS = 10_000
const BY = { actor: 'somebody', reason: 'the numbers' }

/**
 * Draws numbers and instants at the limits of what worker, definition and client take, all at once, and has a worker carry
 * out work with them. Instants that no column holds are refused by name; everything else is honoured.
 * @throws Error with the smallest draw that is not
 */
export async function runNumbers(
  { seed, count: draws }: Draws,
  { databaseUrl, signal }: DatabasePlace,
): Promise<PartResult> {
  await migrateEngine(databaseUrl)
  const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'numbers', max: 10 })
  pool.on('error', () => undefined)
  const client = createClient(databaseUrl)
  let enqueued = 0
  try {
    await client.start()
    await fc.assert(
      fc.asyncProperty(drawn, async (each) => {
        signal.throwIfAborted()
        enqueued += await tryDrawn(each, { client, pool, databaseUrl })
      }),
      // What takes long shrinks for long.
      { seed, numRuns: draws, endOnFailure: draws > 1 },
    )
    return { problems: [], figures: `${draws} draws, ${enqueued} pieces of work` }
  } finally {
    await client.stop()
    await pool.end()
  }
}

const define = (options: object) =>
  defineJob({
    ...options,
    name: 'numbers',
    payload: z.object({ fails: z.boolean() }),
  })

async function tryDrawn(
  { worker: numbers, job: ofJobs, rateLimit, pieces }: Drawn,
  { client, pool, databaseUrl }: { client: JobsClient; pool: pg.Pool; databaseUrl: string },
): Promise<number> {
  const errors: string[] = []
  const log = {
    info: () => undefined,
    warn: () => undefined,
    // Of runs that fail there is a line, too.
    error(...line: unknown[]) {
      const text = JSON.stringify(line)
      if (!text.includes('job run finished')) errors.push(text)
    },
  }
  const job = define({
    ...asOptions(ofJobs),
    ...(rateLimit && { rateLimit: { limit: 1, perMs: 1_000, ...rateLimit } }),
  })
  const worker = createWorker({
    schema: 'public',
    databaseUrl,
    client: pool,
    jobs: [job],
    handlers: {
      async numbers({ payload }) {
        if (payload.fails) throw new Error('as it was told')
      },
    },
    log,
    ...asOptions(numbers),
  })
  const due = new Set<string>()
  const ids: string[] = []
  await worker.start()
  try {
    for (const { options, at, postponedTo, fails } of pieces) {
      const put: EnqueueOptions = {
        ...options,
        ...at,
        ...(options['maxWaitMs'] !== undefined && {
          uniqueKey: crypto.randomUUID(),
          onConflict: 'replace',
        }),
      }
      const id = await refuses(
        at,
        async () => (await client.enqueueNow(job, { fails }, put)).workId,
      )
      if (id === null) continue
      ids.push(id)
      if (!fails && at.expiresAt === undefined && (at.startAfter?.getTime() ?? 0) < Date.now())
        due.add(id)
      if (postponedTo === null) continue
      due.delete(id)
      const change = { ...BY, startAfter: postponedTo }
      await refuses({ startAfter: postponedTo }, () =>
        client.postponeWork({ job, ids: [id] }, change),
      )
    }
    const isHasty = job.timeoutMs < ENOUGH_MS || rateLimit !== null
    const settled = async () => {
      const states = await getManyWork(client.reader, job, ids)
      const kinds = ids.map((id) => [id, states.get(id)?.kind] as const)
      return kinds.every(([id, kind]) =>
        due.has(id) && !isHasty ? kind === 'completed' : kind !== undefined && kind !== 'running',
      )
    }
    await waitFor(settled, { timeoutMs: SOON_MS, message: 'what is due has ended' })
  } finally {
    await worker.stop()
    await pool.query(`delete from "JobWork" where "name" = 'numbers'`)
  }
  if (errors.length > 0) throw new Error(`The worker logs an error: ${errors[0]}`)
  return ids.length
}

/** Null when an instant is refused that no column holds. */
async function refuses<Value>(at: At, call: () => Promise<Value>): Promise<Value | null> {
  const isFine =
    Object.values(at).every(isStorable) &&
    !(at.startAfter && at.expiresAt && at.startAfter >= at.expiresAt)
  try {
    const value = await call()
    if (!isFine) throw new Error('An impossible instant is taken')
    return value
  } catch (error) {
    if (!isFine && error instanceof ArgumentError && error.argument in at) return null
    throw error
  }
}
