// Not quick: a pause waits for five seconds.
import { waitFor } from '@roundsman/testing'
import { expect, describe, it, onTestFinished } from 'vitest'
import { defineJob, defineLimit } from '../../src/index.ts'
import { ClaimConflict, claimWork } from '../../src/queue/claimWork.ts'
import type { Connection } from '../../src/database/database.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { claimRequest } from '../claimRequest.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { untilInTime, whileClaimWaits } from '../untilInTime.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { useSession } from '../useSession.ts'

const plain = defineJob({ name: 'plain' })
const limited = defineJob({
  name: 'limited',
  limits: [defineLimit({ name: 'shared', global: 100 })],
})
const keyed = defineJob({ name: 'keyed', partition: { key: () => 'k', order: 'fifo' } })
const exclusive = defineJob({ name: 'exclusive', schedule: { cron: '0 0 1 1 *', overlap: 'skip' } })
const BY = { actor: 'ann@example.com', reason: 'They move' }

const { runtime, client } = useClientRuntime({ cleared: ['JobLimit', 'JobQueue'] })
useSession(runtime)

const isPaused = async () => (await runtime.rows('select from "JobQueue"')).length > 0
const waiting = async () => (await runtime.rows('select from "JobWork"')).length
/** Whether a promise has settled once the event loop and the database have had several turns. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.finally(() => (settled = true))
  for (let turns = 0; turns < 20; turns++) await runtime.rows('select pg_sleep(0.01)')
  return settled
}

async function openClaimer(): Promise<Claimer> {
  const limits = await registeredLimits(runtime, [limited, keyed])
  return createClaimer({
    database: runtime.database,
    workerId: 'w1',
    now: () => new Date(),
    limits,
  })
}

/** Holds a claim's statement open, as if PostgreSQL had not finished it, until `finish`. */
async function beginClaim(name = 'plain'): Promise<{ finish: () => Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const over = runtime.database.transaction(async (tx: Connection) => {
    const requests = [claimRequest(name)]
    await claimWork(tx, { workerId: 'w1', requests, startedAt: new Date() })
    begun.resolve()
    await promise
  })
  await begun.promise
  const finish = async () => {
    resolve()
    await over
  }
  onTestFinished(finish)
  return { finish }
}

describe('a queue that is paused while a claim waits', () => {
  it.each([
    ['for a shared limit', limited],
    ['for the limit of its keys', keyed],
  ])('gives it nothing, though the claim began before: %s', async (_, job) => {
    await untilInTime(async () => {
      await runtime.clear('JobQueue')
      const claimer = await openClaimer()
      await client.enqueueNow(job, {})
      const pausing: Promise<unknown>[] = []
      const { work } = await whileClaimWaits(
        runtime,
        () => claimer.claim(job, 10),
        async () => {
          pausing.push(client.pauseQueue(job.name, BY))
          await waitFor(isPaused)
        },
      )
      expect(work).toEqual([])
      expect([await Promise.all(pausing), await waiting()]).toEqual([['paused'], 1])
      await client.resumeQueue(job.name, BY)
      expect((await claimer.claim(job, 10)).work).toHaveLength(1)
    })
  })

  it('gives it nothing where it waited for another claim of its exclusive key', async () => {
    const claimer = await openClaimer()
    await client.enqueueNow(exclusive, {})
    let claimed: Promise<unknown> | undefined
    const over = runtime.database.transaction(async (tx) => {
      await tx.query(
        `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
         values (gen_random_uuid(), 'exclusive', 'w0', 'exclusive', now(), 'infinity', '{}', '{}')`,
      )
      claimed = claimer.claim(exclusive, 1).catch((error: unknown) => error)
      await waitFor(() => countLockWaits(runtime))
      await runtime.rows(`insert into "JobQueue" ("name", "pausedBy") values ('exclusive', 'ann')`)
      throw new Error('rolled back')
    })
    await expect(over).rejects.toThrow('rolled back')
    // The next try sees the pause, or all three met it.
    const answer = await claimed
    expect(
      answer instanceof ClaimConflict || (answer as { work: unknown[] }).work.length === 0,
    ).toBe(true)
    expect(await waiting()).toBe(1)
    await client.resumeQueue('exclusive', BY)
    expect((await claimer.claim(exclusive, 1)).work).toHaveLength(1)
  })
})

describe('pauseQueue', () => {
  it('returns once each claim has finished that began before, and waits for no run', async () => {
    await client.enqueueNow(plain, {})
    const { finish } = await beginClaim()
    const pausing = client.pauseQueue('plain', BY)
    await waitFor(isPaused)
    expect(await hasSettled(pausing)).toBe(false)
    await finish()
    expect(await pausing).toBe('paused')
    // The pause does not end the run that the claim took.
    expect(await runtime.rows('select from "JobClaim"')).toHaveLength(1)
    expect(await client.pauseQueue('plain', BY)).toBe('alreadyPaused')
  })

  it('does not wait for claims that begin after it', async () => {
    await client.enqueueNow(plain, {})
    const { finish } = await beginClaim()
    const pausing = client.pauseQueue('plain', BY)
    await waitFor(isPaused)
    expect(await hasSettled(pausing)).toBe(false)
    const later = await beginClaim('limited')
    await finish()
    expect(await pausing).toBe('paused')
    await later.finish()
  })

  it('returns after five seconds, and says so, where a claim has not finished', async () => {
    await client.enqueueNow(plain, {})
    const { finish } = await beginClaim()
    expect(await client.pauseQueue('plain', BY)).toBe('pausing')
    expect(await isPaused()).toBe(true)
    await finish()
  })

  it('in a transaction of the caller does not wait, and holds from its commit', async () => {
    await client.enqueueNow(plain, {})
    const { finish } = await beginClaim('limited')
    const claimer = await openClaimer()
    await runtime.prisma.$transaction(async (tx) => {
      expect(await client.pauseQueue('plain', BY, { tx })).toBe('paused')
    })
    expect((await claimer.claim(plain, 1)).work).toEqual([])
    await finish()
  })
})
