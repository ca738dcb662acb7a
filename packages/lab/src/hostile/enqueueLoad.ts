import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { z } from 'zod'
import type { JobsClient } from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { Queryable } from '../openPool.ts'
import { createRandom } from '../createRandom.ts'
import { drawRunnableJobs } from './drawDefinitions.ts'
import { DEADLY, deadlyOutcome } from './deadlyOutcomes.ts'
import { drawOutcome, type Outcome } from './drawOutcome.ts'
import { hostileText, hostileValue, makeHostile } from '@roundsman/testing/hostileValues'
import { SMALL } from './foreignValues.ts'
import { deadly, guilty, guiltyAgain, guiltyHasty, innocent, innocentLong } from './hostileJobs.ts'

/** What was enqueued. The map's key is the work's id. */
export interface Enqueued {
  name: string
  kind: Outcome['kind'] | null
  ends: Outcome['ends']
}

export interface LoadContext {
  client: JobsClient
  database: Queryable
  seed: number
  signal: AbortSignal
  /** Filled by the functions below. */
  enqueued: Map<string, Enqueued>
}

const ROUND = 250
/** How much may wait: enough to keep the workers busy. */
const MAX_WAITING = 500
const DEADLY_PATIENCE_MS = 240_000
const HURRY_EVERY_MS = 500
/** An instant in the past: what waits for a minute after its fourth loss is due now. That is harder on all others. */
const HURRY = { actor: 'pnpm hostile', reason: 'a minute is too long', startAfter: new Date(0) }
/** Without lists of billions: checking them item by item would keep this process busy. */
const payloadValues = hostileValue(SMALL).filter(
  (value) => !/OfGreatLength|sparse/.test(JSON.stringify(value)),
)
const INNOCENT_EVERY_MS = 50
const LONG_EVERY = 20

/** Enqueues drawn outcomes as fast as they are carried out. Resolves to how many payloads and requests were refused. */
export async function enqueueOutcomes(
  context: LoadContext,
  { outcomes, onProgress }: { outcomes: number; onProgress: (done: number) => void },
): Promise<number> {
  const { client, seed, signal, enqueued } = context
  const random = createRandom(seed)
  // Their own schemas would refuse some payloads here already.
  const drawn = drawRunnableJobs(seed).map((job) => ({ ...job, payload: z.any() }))
  let refused = 0
  for (let number = 0; number < outcomes;) {
    signal.throwIfAborted()
    await untilFewWait(context)
    const groups = new Map<Job, number[]>()
    for (const end = Math.min(number + ROUND, outcomes); number < end; number++) {
      const outcome = drawOutcome(seed, number)
      const job = outcome.isSlow ? guiltyHasty : chooseJob(random.next(), drawn)
      if (job === null) {
        refused += await requestForeign(context, number)
      } else {
        groups.set(job, [...(groups.get(job) ?? []), number])
      }
    }
    for (const [job, numbers] of groups) {
      const items = numbers.map((each) => ({ payload: { number: each } as never }))
      const results = await client.enqueueManyNow(job, items)
      for (const [index, { workId }] of results.entries()) {
        note(enqueued, workId, job.name, drawOutcome(seed, numbers[index] ?? 0))
      }
    }
    onProgress(number)
  }
  return refused
}

function chooseJob(share: number, drawn: readonly Job[]): Job | null {
  if (share < 0.02) return null
  if (share < 0.05) return drawn[Math.floor((share / 0.05) * drawn.length)] ?? guilty
  return share < 0.12 ? guiltyAgain : guilty
}

/** Requests a dry run in the name of a foreign text, or enqueues a foreign payload. Returns 1 when it was refused. */
async function requestForeign(context: LoadContext, number: number): Promise<0 | 1> {
  const { client, seed, enqueued } = context
  const sampled = { seed: seed + number, numRuns: 1 }
  const outcome = drawOutcome(seed, number)
  try {
    if (number % 2 === 0) {
      const [text = ''] = fc.sample(hostileText(), sampled)
      const request = { actor: text, reason: text, dryRun: true, payload: { number } }
      const workId = await client.requestRun(guilty, request)
      note(enqueued, workId, guilty.name, outcome)
    } else {
      const [texts] = fc.sample(fc.array(payloadValues), sampled)
      const payload = { number, texts: texts?.map(makeHostile) as string[] }
      const { workId } = await client.enqueueNow(guilty, payload)
      note(enqueued, workId, guilty.name, outcome)
    }
    return 0
  } catch {
    return 1
  }
}

/**
 * Enqueues one of each deadly way at once, so that they end several workers side by side, until all of their work has ended.
 * Each costs as many workers as the engine grants it; the pauses in between are cut short. Resolves to how many had not ended
 * in time.
 */
export async function enqueueDeadly(
  context: LoadContext,
  { count, onProgress }: { count: number; onProgress: (done: number) => void },
): Promise<number> {
  const { client, database, signal, enqueued } = context
  for (let from = 0; from < count; from += DEADLY.length) {
    const to = Math.min(from + DEADLY.length, count)
    for (let number = from; number < to; number++) {
      const { workId } = await client.enqueueNow(deadly, { number })
      note(enqueued, workId, deadly.name, deadlyOutcome(number))
    }
    const deadline = Date.now() + DEADLY_PATIENCE_MS * (to - from)
    let left = await countUnfinished(database)
    while (left > 0) {
      if (Date.now() > deadline) return left
      signal.throwIfAborted()
      onProgress(to - left)
      await pause(HURRY_EVERY_MS, undefined, { signal })
      await client.postponeWork({ job: deadly, all: true }, HURRY)
      left = await countUnfinished(database)
    }
    onProgress(to)
  }
  return 0
}

async function countUnfinished(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ left: number }>(
    `select count(*)::int as left from (
       select "id" from "JobWork" where "name" = $1
       union select "workId" from "JobRunAll" where "name" = $1 and "status" = 'running'
     ) unfinished`,
    [deadly.name],
  )
  return rows[0]?.left ?? 0
}

/** Enqueues short and long innocent work at a steady pace, until `stop`. */
export async function enqueueInnocents(context: LoadContext, stop: AbortSignal): Promise<void> {
  const { client, enqueued } = context
  for (let number = 0; !stop.aborted; number++) {
    const job = number % LONG_EVERY === 0 ? innocentLong : innocent
    const key = number % 2 === 0 && { uniqueKey: `innocent ${number}` }
    const { workId } = await client.enqueueNow(job, { number }, { ...key })
    enqueued.set(workId, { name: job.name, kind: null, ends: 'success' })
    await pause(INNOCENT_EVERY_MS, undefined, { signal: stop }).catch(() => undefined)
  }
}

async function untilFewWait({ database, signal }: LoadContext): Promise<void> {
  for (;;) {
    const { rows } = await database.query<{ waiting: number }>(
      `select count(*)::int as waiting from (
         select from "JobWork" where "name" like 'guilty%' and "attempt" = 1 limit $1
       ) few`,
      [MAX_WAITING],
    )
    if ((rows[0]?.waiting ?? 0) < MAX_WAITING) return
    await pause(20, undefined, { signal })
  }
}

function note(
  enqueued: LoadContext['enqueued'],
  workId: string,
  name: string,
  { kind, ends }: Outcome,
): void {
  enqueued.set(workId, { name, kind, ends })
}
