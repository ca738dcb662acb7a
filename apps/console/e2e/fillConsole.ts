import { waitFor } from '@roundsman/testing'
import { randomUUID } from 'node:crypto'
import type { JobRun, Prisma } from '@roundsman/db'
import type { ConsoleStack } from './openConsoleStack.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

export interface Filling {
  running: JobRun
  /** A run that succeeded, in batches. */
  ended: JobRun
  failed: JobRun
  blocked: JobRun
  /** A run that has enqueued others, and one of those. */
  parent: string
  child: string
  /** The key of a schedule with a past. */
  schedule: string
}

/**
 * Fills the database with something to see on each screen: a history of `countSheep`, and a run of each kind that needs
 * somebody.
 */
export async function fillConsole(stack: ConsoleStack): Promise<Filling> {
  const { prisma } = stack
  const past = makePast()
  await prisma.jobRun.createMany({ data: past })
  await prisma.jobTick.createMany({ data: past.slice(0, 60).map(tickOf) })
  for (const name of ['callPartner', 'pruneRows', 'walkSteps']) await stack.enqueue(name)
  const find = (where: Prisma.JobRunWhereInput) => waitFor(() => prisma.jobRun.findFirst({ where }))
  const filling = {
    running: await find({
      name: 'walkSteps',
      status: 'running',
      progress: { path: ['done'], equals: 0 },
    }),
    ended: await find({ name: 'countSheep', status: 'success' }),
    failed: await find({ name: 'callPartner', status: 'failed' }),
    blocked: await find({ name: 'pruneRows', status: 'failed' }),
    ...(await fillFamily(stack)),
    schedule: await fillSchedules(stack),
  }
  await prisma.jobSchedule.update({
    where: { name_key: { name: 'pruneRows', key: '' } },
    data: {
      pausedAt: new Date(),
      pausedBy: 'owner@example.com',
      pauseReason: 'Until it is counted',
    },
  })
  return filling
}

/** A run that has enqueued many others, two of them about the same. */
async function fillFamily({ prisma }: ConsoleStack): Promise<Pick<Filling, 'parent' | 'child'>> {
  const parent = randomUUID()
  await prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "label", "workId", "parentId", "uniqueKey",
      "traceId", "enqueuedBy")
    select case n when 0 then ${parent}::uuid else gen_random_uuid() end, case n when 0 then 'walkSteps' else 'mailSheep' end, 'success',
      'queue', now() - interval '1 hour' + n * interval '1 s', now() - interval '59 min', 'worker-of-yesterday',
      case n when 0 then null when 2 then 'Sheep 1' else 'Sheep ' || n end, gen_random_uuid(),
      case when n > 0 then ${parent}::uuid end, case when n > 0 then 'sheep:' || n end, ${'ab'.repeat(16)},
      case n when 0 then 'request 01a20e26-367c-766a-a085-72e882269712' end
    from generate_series(0, 30) n`
  const [first] = await prisma.$queryRaw<{ id: string }[]>`
    select "id" from "JobRun" where "parentId" = ${parent}::uuid order by "startedAt" limit 1`
  return { parent, child: String(first?.id) }
}

/** As text may be that is a part of no address as it is, as long as a key may be, and with no place to break. */
export const ODD_KEY = `../%2F?#🎈 tenant/${'ü'.repeat(90)}`

/** Work of a job that no worker here has, under a limit of which every slot is taken, of keys of which two are paused, and very many have run. */
export async function fillLimits({ prisma }: ConsoleStack): Promise<string> {
  await prisma.$executeRaw`
    insert into "JobLimit" ("name", "global", "setGlobal", "setBy", "setReason", "setAt", "perKey", "order", "rateLimit", "ratePerMs",
      "rateBy", "jobs")
    values ('job:shearSheep', 50, null, null, null, null, 2, 'fair', 100, 60000, 'key', null),
      ('shears', 20, 1, 'owner@example.com', 'One pair is broken', now(), null, null, null, null, null, '{shearSheep,trimHooves}')`
  await prisma.$executeRaw`
    insert into "JobKey" ("name", "key", "perKey", "pausedUntil", "pausedBy", "pausedAt", "pauseReason", "setBy", "setAt", "reason")
    values ('shearSheep', 'farm-7', 5, 'infinity', 'owner@example.com', now(), 'Until they pay', 'admin@example.com', now(), 'They pay for five'),
      ('shearSheep', ${ODD_KEY}, null, now() + interval '1 day', 'owner@example.com', now(),
       'Their contract has ended, and the invoice of last month is still open', 'owner@example.com', now(), 'Their contract has ended')`
  await prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "key")
    select gen_random_uuid(), 'shearSheep', 'success', 'queue', now() - interval '1 min', now(), 'worker-of-yesterday', key
    from generate_series(1, 300) n
      cross join lateral (select case when n <= 60 then 'farm-7' when n <= 62 then ${ODD_KEY} else 'farm-' || n end as key) one`
  await prisma.$executeRaw`
    insert into "JobDeadLetter" ("id", "name", "key", "bytes", "payload", "errorCode", "errorMessage")
    select gen_random_uuid(), 'shearSheep', key, 2, '{}', 'wool_wet', 'It has rained since they were washed' from unnest(array['farm-7', ${ODD_KEY}]) key`
  await prisma.$executeRaw`
    update "JobLimit" set "parkedUntil" = now() + interval '1 day', "parkedAt" = now(),
      "parkReason" = 'The grinder answers 429 Too Many Requests, and says to wait' where "name" = 'shears'`
  await prisma.$executeRaw`
    insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "keys", "enqueuedAts", "limits", "place")
    values (gen_random_uuid(), 'shearSheep', 'worker-of-yesterday', now(), now() + interval '1 day', array[gen_random_uuid()],
      array['farm-1'], array[now()], array['job:shearSheep', 'shears'], 1)`
  await prisma.$executeRaw`
    insert into "JobWork" ("id", "name", "key", "bytes", "payload", "label")
    select gen_random_uuid(), 'shearSheep', ${ODD_KEY}, 2, '{}', 'Sheep ' || n from generate_series(1, 25) n`
  const [work] = await prisma.$queryRaw<{ id: string }[]>`
    insert into "JobWork" ("id", "name", "key", "bytes", "payload", "label")
    select gen_random_uuid(), 'shearSheep', 'farm-7', 2, '{}', 'Sheep ' || n from generate_series(1, 3) n returning "id"::text`
  return String(work?.id)
}

const ZONES = ['Europe/Lisbon', 'Asia/Tokyo', 'America/New_York', 'Australia/Lord_Howe'] as const

/**
 * More schedules of a job than a page lists, one with ticks of each outcome, one paused. None is due while tests run, and
 * the job's last run succeeded, whichever day it is.
 */
async function fillSchedules({ prisma, schedules, jobs }: ConsoleStack): Promise<string> {
  const job = jobs.find(({ name }) => name === 'greetCustomer')
  if (!job) throw new Error('There is no such job')
  const entries = Array.from({ length: 60 }, (_, index) => ({
    key: `customer-${String(index + 1).padStart(4, '0')}`,
    cron: `0 9 * * ${weekdayIn(2 + (index % 4))}`,
    timeZone: ZONES[index % ZONES.length] as string,
    payload: { customer: 'somebody' },
    actor: 'sign-up',
  }))
  await schedules.upsertMany(null, job, entries)
  const [first, second] = entries
  const key = String(first?.key)
  const by = { actor: 'owner@example.com', reason: 'They are on holiday' }
  await schedules.pause(null, job, String(second?.key), by)
  const changed = {
    ...entries[0],
    cron: `30 8 * * ${weekdayIn(3)}`,
    jitterMs: MINUTE_MS,
    actor: by.actor,
  }
  await schedules.upsert(null, job, changed as (typeof entries)[number])
  await prisma.$executeRaw`
    insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "count", "through", "version")
    select 'greetCustomer', ${key}, date_trunc('hour', now()) - n * interval '1 day',
      (array['enqueued', 'skipped', 'missed', 'coalesced', 'enqueued'])[1 + n % 5]::"TickOutcome",
      case n % 5 when 1 then 'paused' end, case when n % 5 in (0, 4) then gen_random_uuid() end,
      case n % 5 when 2 then 3 else 1 end, case n % 5 when 2 then date_trunc('hour', now()) - n * interval '1 day' + interval '2 h' end, 1
    from generate_series(0, 24) n`
  await prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "workId", "errorCode", "details")
    select gen_random_uuid(), "name", (case when failed then 'failed' else 'success' end)::"JobRunStatus", 'schedule', "scheduledFor",
      "scheduledFor" + interval '2 s', 'worker-of-yesterday', "workId", case when failed then 'nobody' end,
      case when failed then '{"error": {"code": "nobody", "message": "There is nobody to greet"}}'::jsonb end
    from (
      select *, row_number() over (order by "scheduledFor" desc) % 4 = 0 as failed
      from "JobTick" where "key" <> '' and "workId" is not null and "scheduledFor" < now() - interval '1 day'
    ) tick`
  return key
}

/** A weekday as cron counts them. One in two to five days is today in no zone. */
function weekdayIn(days: number): number {
  return (new Date().getUTCDay() + days) % 7
}

type PastRun = Prisma.JobRunCreateManyInput & { startedAt: Date; workId: string }

/** A run every three hours for some days, and before that every three days for some months; every eleventh failed. */
function makePast(): PastRun[] {
  return Array.from({ length: 130 }, (_, index) => {
    const old = Math.max(0, index - 99)
    const startedAt = new Date(Date.now() - 10 * MINUTE_MS - (index - old + old * 24) * 3 * HOUR_MS)
    const isFailed = index % 11 === 5
    const message = 'A wolf came, and the sheep would not stand still'
    const error = { code: 'wolf', message, stack: 'at howl (src/wolf.ts:3:4)' }
    return {
      id: randomUUID(),
      name: 'countSheep',
      status: isFailed ? 'failed' : 'success',
      trigger: 'schedule',
      scheduledFor: new Date(Math.floor(startedAt.getTime() / MINUTE_MS) * MINUTE_MS),
      startedAt,
      endedAt: new Date(startedAt.getTime() + 1_000 + (index % 9) * 700),
      errorCode: isFailed ? error.code : null,
      details: isFailed ? { error } : { cleaned: 1_000 + index, batches: 2, kept: index },
      ...(!isFailed && {
        batchMarks: [
          { at: startedAt.getTime() + 400, batches: 1, counts: { cleaned: 600 } },
          { at: startedAt.getTime() + 900, batches: 2, counts: { cleaned: 1_000 + index } },
        ],
      }),
      workId: randomUUID(),
      workerId: 'worker-of-yesterday',
    }
  })
}

/** The tick of a run, or one without a run in its place: missed, skipped, made up for. */
function tickOf(run: PastRun, index: number): Prisma.JobTickCreateManyInput {
  const scheduledFor = new Date(Math.floor(run.startedAt.getTime() / MINUTE_MS) * MINUTE_MS)
  const tick = { name: run.name, scheduledFor, workerId: run.workerId }
  if (index % 13 === 7) return { ...tick, outcome: 'missed', count: 3, through: scheduledFor }
  if (index % 13 === 8) return { ...tick, outcome: 'skipped', reason: 'paused' }
  if (index % 13 === 9) return { ...tick, outcome: 'coalesced' }
  return { ...tick, outcome: 'enqueued', workId: run.workId }
}
