// Not quick: waits while the disk is full.
import { waitFor } from '@roundsman/testing'
import { beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient } from '../../src/client.ts'
import { defineJob, type RunContext, type TransactionOf } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const PATIENCE = { timeoutMs: 30_000 }
const PARCELS = 20
const STEPS = 2

const parcel = defineJob({
  name: 'parcel',
  payload: z.object({ n: z.number() }),
  concurrency: PARCELS / 2,
  retry: { limit: 100, delayMs: 1_000, maxDelayMs: 1_000 },
})
const bell = defineJob({
  name: 'bell',
  schedule: { cron: '* * * * * *', missed: 'all', overlap: 'allow' },
})
const jobs = [parcel, bell] as const

const GROWING = ['JobWork', 'JobClaim', 'JobRun', 'JobTick', 'Effect']

const runtime = useTestRuntime()

beforeAll(() =>
  runtime.rows('create table "Effect" (n int, step int, "runId" uuid, primary key (n, step))'),
)

it('a disk that was full for a while costs no work, no tick and no count', async () => {
  const { rows, prisma, url, log, lines } = runtime
  const opened = Promise.withResolvers<void>()
  let atGate = 0
  const worker = createWorker({
    ...runtime.workerOptions,
    jobs,
    handlers: {
      async parcel(context: RunContext<{ n: number }, TransactionOf<typeof prisma>>) {
        for (let step = 0; step < STEPS; step++) {
          await context.batch(async (tx) => ({
            effects: await tx.$executeRawUnsafe(
              'insert into "Effect" values ($1, $2, $3::uuid) on conflict do nothing',
              context.payload.n,
              step,
              context.run.id,
            ),
          }))
          if (step > 0) continue
          atGate++
          await opened.promise
        }
      },
      bell: async () => undefined,
    },
  })
  const client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  await client.start()
  const enqueue = (n: number) => prisma.$transaction((tx) => client.enqueue(tx, parcel, { n }))
  for (let n = 0; n < PARCELS; n++) await enqueue(n)
  await worker.start()
  await waitFor(() => atGate === PARCELS / 2, PATIENCE)
  await waitFor(async () => (await ticks()).length > 0, PATIENCE)

  await fill()
  await expect(enqueue(PARCELS)).rejects.toThrow('No space left on device')
  opened.resolve()
  for (const line of [
    'settling failed, trying again',
    'the schedule of a job failed, trying again',
  ]) {
    await waitFor(() => lines.some(({ msg }) => msg === line), { ...PATIENCE, message: line })
  }
  await free()

  await waitFor(async () => (await successes()).length === PARCELS, PATIENCE)
  const before = await ticks()
  await waitFor(async () => (await ticks()).length > before.length + 1, PATIENCE)
  await worker.stop()
  await client.stop()
  expect(await rows('select n from "Effect" group by n having count(*) <> 2')).toEqual([])
  expect(await rows('select distinct n from "Effect"')).toHaveLength(PARCELS)
  expect(new Set(await successes()).size).toBe(PARCELS)
  expect(await rows(`select "id" from "JobRun" where "status" = 'running'`)).toEqual([])
  // Runs that met the full disk in their second batch failed with this code, and kept the counts of the first.
  const codes = await rows<{ code: string }>(
    `select distinct "details" #>> '{error,code}' as "code" from "JobRun" where "status" = 'failed'`,
  )
  expect(codes).toEqual([{ code: '53100' }])
  expect(
    await rows(
      `select run."id" from "JobRun" run left join "Effect" effect on effect."runId" = run."id"
       group by run."id" having count(effect.n) <> coalesce((run."details" ->> 'effects')::int, 0)`,
    ),
  ).toEqual([])
  const seconds = (await ticks()).map(({ at }) => at)
  expect(seconds).toEqual(seconds.map((_, index) => seconds[0]! + index))

  async function ticks() {
    return await rows<{ at: number }>(
      `select extract(epoch from "scheduledFor")::int as "at" from "JobTick" order by 1`,
    )
  }

  async function successes() {
    const found = await rows<{ id: string }>(
      `select "workId" as "id" from "JobRun" where "name" = 'parcel' and "status" = 'success'`,
    )
    return found.map(({ id }) => id)
  }
}, 60_000)

/** Has PostgreSQL refuse every write that grows a table, as on a full disk. */
async function fill(): Promise<void> {
  await runtime.rows(
    `create function no_room() returns trigger language plpgsql as $$ begin
       raise 'could not extend file: No space left on device' using errcode = 'disk_full';
     end $$`,
  )
  // One table at a time: a transaction that holds one and waits for another could deadlock.
  for (const table of GROWING) {
    await runtime.rows(
      `create trigger no_room before insert or update on "${table}" for each row execute function no_room()`,
    )
  }
}

async function free(): Promise<void> {
  for (const table of GROWING) await runtime.rows(`drop trigger no_room on "${table}"`)
  await runtime.rows('drop function no_room')
}
