import { useLivingWorkers } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { migrate } from '../../src/migrate.ts'
import { arePlacesBehind, mendPlaces } from '../../src/queue/mendPlaces.ts'
import { claimUnderLimits, type KnownClaims } from '../../src/queue/claimUnderLimits.ts'
import { claimRequest } from '../claimRequest.ts'
import { openBeside } from '../openBeside.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const limited = defineJob({ name: 'limited', concurrency: { global: 3 } })

const { runtime, client } = useClientRuntime({ cleared: ['JobWorker', 'JobLimit'] })
useLivingWorkers(() => runtime.url, 'other')

const GREATEST = 5_000_000
const last = () => runtime.value<string>('select last_value from "JobPlace"')

/** Another worker's claim has the greatest place, and its run goes on. The sequence begins anew, as on a logical replica. */
beforeEach(async () => {
  await runtime.rows(`insert into "JobWorker" ("id") values ('other')`)
  await runtime.rows(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts", "limits", "place")
     values (gen_random_uuid(), 'limited', 'other', now(), now() + interval '1 day', array[gen_random_uuid()], array[now()], '{job:limited}', $1)`,
    [GREATEST],
  )
  await runtime.rows(`select setval('"JobPlace"', 1)`)
})

describe('a sequence of places that is behind the tables', () => {
  it('is set ahead by a worker that starts', async () => {
    await startTestWorker(runtime, { jobs: [limited], handlers: { limited: async () => ({}) } })
    expect(Number(await last())).toBeGreaterThan(GREATEST)
  })

  it('exceeds no limit once it is set ahead', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "global") values ('job:limited', 3)`)
    await runtime.database.transaction(mendPlaces)
    for (let n = 0; n < 10; n++) await client.enqueueNow(limited, {})
    const take = (known: KnownClaims | null, limit = 10) =>
      claimUnderLimits(runtime.database, {
        workerId: 'other',
        startedAt: new Date(),
        limits: ['job:limited'],
        order: null,
        known,
        keys: null,
        suspects: undefined,
        request: claimRequest('limited', { limit }),
      })
    const before = await take(null, 0)
    expect((await take(null)).work).toHaveLength(2)
    // A worker that has counted up to the greatest place also counts the claim that came after it.
    expect((await take(before.state!.known)).work).toEqual([])
  })

  it('is set ahead by migrate, and once alone by several at a time', async () => {
    const one = openBeside(runtime)
    const mended = await Promise.all(Array.from({ length: 5 }, () => one.transaction(mendPlaces)))
    expect(mended.filter(Boolean)).toHaveLength(1)
    expect(Number(await last())).toBeGreaterThan(GREATEST)
    expect(await arePlacesBehind(runtime.reader)).toBe(false)

    await runtime.rows(`select setval('"JobPlace"', 1)`)
    const { url: databaseUrl, log } = runtime
    expect(await migrate({ databaseUrl, schema: 'public', log })).toEqual(['JobPlace'])
    expect(await migrate({ databaseUrl, schema: 'public', log })).toEqual([])
  })

  it('is refused with the remedy by a role that may not set it', async () => {
    await runtime.rows(`
      create role narrow; grant usage on schema public to narrow; grant usage on all sequences in schema public to narrow;
      grant select on all tables in schema public to narrow`)
    const mending = openBeside(runtime).transaction(async (tx) => {
      await tx.query('set local role narrow')
      return await mendPlaces(tx)
    })
    await expect(mending).rejects.toThrow(/grant the role update on the sequence$/)
    await runtime.rows('drop owned by narrow; drop role narrow')
  })
})
