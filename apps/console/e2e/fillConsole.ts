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
  }
  await prisma.jobSchedule.update({
    where: { name: 'pruneRows' },
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

type PastRun = Prisma.JobRunCreateManyInput & { startedAt: Date; workId: string }

/** A run every three hours for some days, and before that every three days for some months; every eleventh failed. */
function makePast(): PastRun[] {
  return Array.from({ length: 130 }, (_, index) => {
    const old = Math.max(0, index - 99)
    const startedAt = new Date(Date.now() - 10 * MINUTE_MS - (index - old + old * 24) * 3 * HOUR_MS)
    const isFailed = index % 11 === 5
    const error = { code: 'wolf', message: 'A wolf came, and the sheep would not stand still' }
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
