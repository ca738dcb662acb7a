import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import type { TransactionOf } from '@roundsman/engine'
import { type JobsClient } from '@roundsman/engine/client'
import { answered, effect, touch, walk } from './chaosJobs.ts'
import type { Random } from '../createRandom.ts'
import { createClient, openPrisma } from '../product.ts'

export interface Load {
  /** Ids of work whose transaction was confirmed to have committed. */
  committed: string[]
  /** Ids of work whose transaction was rolled back on purpose. */
  rolledBack: string[]
  /** Transactions whose connection broke: only PostgreSQL knows whether they committed. */
  unknown: number
}

export interface LoadOptions {
  url: string
  random: Random
  jobs: number
  durationMs: number
  signal: AbortSignal
}

type Transaction = TransactionOf<PrismaClient>

const MAX_GROUP = 25
/** One in so many is a walk. */
const WALK_EACH = 10
/** To so many walks an answer is given at once. */
const MAX_ANSWERS = 20
const MAX_STARTS = 60
const ROLL_BACK_SHARE = 0.1
const UNIQUE_SHARE = 0.3
/** A payload of so much stays where it is while its work moves. */
const LONG = '…'.repeat(1_000)
const LONG_SHARE = 0.2
const TENANTS = 40
/** Of these the work has no key. */
const NO_TENANT_SHARE = 0.1
/** The share that is enqueued at once, so that there is a backlog from the start. The rest comes evenly. */
const BURST_SHARE = 0.2

/** Enqueues in transactions that also write a business row, as the API would. */
export async function enqueueLoad(options: LoadOptions): Promise<Load> {
  const { url, random, jobs, durationMs, signal } = options
  const prisma = openPrisma(url, 'chaos producer')
  const client = await startClient(url)
  const load: Load = { committed: [], rolledBack: [], unknown: 0 }
  const startedAt = performance.now()
  try {
    while (load.committed.length < jobs && !signal.aborted) {
      const share = BURST_SHARE + (1 - BURST_SHARE) * ((performance.now() - startedAt) / durationMs)
      if (load.committed.length > jobs * share) {
        await pause(20)
        continue
      }
      const size = Math.min(random.integer(1, MAX_GROUP), jobs - load.committed.length)
      await enqueueGroup(size, random.chance(ROLL_BACK_SHARE))
    }
    return load
  } finally {
    await client.stop()
    await prisma.$disconnect()
  }

  function drawTenant(): string {
    return `tenant ${random.integer(1, TENANTS)}`
  }

  async function enqueueEffect(tx: Transaction): Promise<string> {
    const tenant = random.chance(NO_TENANT_SHARE) ? '' : drawTenant()
    return (await client.enqueue(tx, effect, { tenant })).workId
  }

  async function enqueueTouch(tx: Transaction): Promise<string> {
    const id = randomUUID()
    const filler = random.chance(LONG_SHARE) ? LONG : ''
    const key = random.chance(UNIQUE_SHARE) && { uniqueKey: id }
    const payload = { id, filler, tenant: drawTenant() }
    const { workId } = await client.enqueue(tx, touch, payload, { ...key })
    await tx.$executeRawUnsafe('insert into "ChaosTouch" ("id") values ($1::uuid)', id)
    return workId
  }

  async function enqueueWalk(tx: Transaction): Promise<string> {
    const id = randomUUID()
    await tx.$executeRawUnsafe('insert into "ChaosWalk" ("id") values ($1::uuid)', id)
    // Before the walk begins to wait, or some time later.
    if (random.chance(0.3)) await answerWalks(tx, client)
    return (await client.enqueue(tx, walk, { id })).workId
  }

  async function enqueueGroup(size: number, isRolledBack: boolean): Promise<void> {
    const ids: string[] = []
    try {
      await prisma.$transaction(
        async (tx) => {
          for (let index = 0; index < size; index++) {
            const enqueue =
              index % WALK_EACH === 1 ? enqueueWalk : index % 2 === 0 ? enqueueEffect : enqueueTouch
            ids.push(await enqueue(tx))
          }
          await tx.$executeRawUnsafe('insert into "ChaosEnqueue" select unnest($1::uuid[])', ids)
          if (isRolledBack) throw new RolledBack()
        },
        { timeout: 30_000, maxWait: 10_000 },
      )
      load.committed.push(...ids)
    } catch (error) {
      if (error instanceof RolledBack) load.rolledBack.push(...ids)
      else {
        load.unknown++
        await pause(100)
      }
    }
  }
}

class RolledBack extends Error {}

/** Gives an answer to walks that have none. */
export async function answerWalks(tx: Transaction, client: JobsClient): Promise<void> {
  const walks = await tx.$queryRawUnsafe<{ id: string }[]>(
    `update "ChaosWalk" set "isAnswered" = true where "id" in (
       select "id" from "ChaosWalk" where not "isAnswered" limit $1::int for update skip locked
     ) returning "id"::text as "id"`,
    MAX_ANSWERS,
  )
  for (const { id } of walks) await client.signal(tx, answered, { key: id, id, payload: id })
}

/**
 * Starts a new client each time, since one whose start failed cannot be started again. PostgreSQL may be killed meanwhile.
 */
async function startClient(url: string): Promise<JobsClient> {
  for (let tries = 1; ; tries++) {
    const client = createClient(url)
    try {
      await client.start()
      return client
    } catch (error) {
      await client.stop()
      if (tries === MAX_STARTS) throw error
      await pause(500)
    }
  }
}
