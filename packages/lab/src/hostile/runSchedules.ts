import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { nextTick } from '@roundsman/engine'
import { nextTicks } from '@roundsman/engine/internal'
import { waitFor } from '@roundsman/testing'
import { endMember, startMember, type Member } from '../createFleet.ts'
import { openPool, type Pool } from '../openPool.ts'
import type { DatabasePlace, Draws, PartResult } from './parts.ts'
import { SCHEDULES, STEADY } from './scheduleJobs.ts'
import type { ScheduleSettings } from './scheduleProcess.ts'
import { migrateEngine } from '../product.ts'

interface Versioned extends Member {
  version: number
}

const SCHEDULE_PROCESS = join(import.meta.dirname, 'scheduleProcess.ts')
const MAX_MEMBERS = 4
const PATIENCE_MS = 90_000

const drawWhich = fc.nat(MAX_MEMBERS)
const drawStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      version: fc.nat(SCHEDULES.length - 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('SIGTERM' as const, 'SIGKILL' as const),
      which: drawWhich,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('pause' as const, 'resume' as const, 'hold' as const),
      name: fc.constantFrom(STEADY, 'disputed', 'added', 'removed'),
    }),
  },
)

/**
 * Has worker processes of two versions come and go in a drawn order, while people pause and resume schedules and hold
 * their rows. One worker lives all the time, so a schedule that all define alike owes a tick of every second.
 */
export async function runSchedules(
  { seed, count: steps }: Draws,
  { databaseUrl, signal }: DatabasePlace,
): Promise<PartResult> {
  const database = openPool({ url: databaseUrl, applicationName: 'hostile schedules', poolSize: 2 })
  const members: Versioned[] = []
  let started = 0
  const start = async (version: number) => {
    const settings: ScheduleSettings = { databaseUrl, version }
    const member = startMember(SCHEDULE_PROCESS, 0, { settings, signal })
    await member.told('isReady')
    members.push(Object.assign(member, { version }))
    started++
  }
  try {
    await migrateEngine(databaseUrl)
    await start(0)
    for (const next of fc.sample(drawStep, { seed, numRuns: steps })) {
      signal.throwIfAborted()
      if (next.do === 'start') {
        if (members.length < MAX_MEMBERS) await start(next.version)
      } else if ('which' in next) {
        // The first one stays.
        const [member] = members.splice(1 + (next.which % MAX_MEMBERS), 1)
        if (member) await endMember(member, next.do)
      } else {
        await disturb(database, next.do, next.name)
      }
      await pause(500, undefined, { signal })
    }
    const problems = await judge(database, members, signal)
    // Then the first is left alone, and takes over what another has just defined.
    await start(1)
    await Promise.all(members.splice(1).map((member) => endMember(member, 'SIGKILL')))
    problems.push(...(await judge(database, members, signal)))
    const [{ ticks } = { ticks: 0 }] = (
      await database.query<{ ticks: number }>('select count(*)::int as ticks from "JobTick"')
    ).rows
    return { problems, figures: `${started} workers started, ${ticks} rows of the tick ledger` }
  } finally {
    await Promise.all(members.map((member) => endMember(member, 'SIGKILL')))
    await database.close()
  }
}

async function disturb(
  database: Pool,
  how: 'pause' | 'resume' | 'hold',
  name: string,
): Promise<void> {
  if (how === 'hold') {
    await database.transaction(async (tx) => {
      await tx.query('select from "JobSchedule" where "name" = $1 for update', [name])
      await pause(2_000)
    })
  } else {
    await database.query(
      `update "JobSchedule" set "pausedAt" = case when $2 then now() end, "updatedAt" = now() where "name" = $1`,
      [name, how === 'pause'],
    )
  }
}

async function judge(
  database: Pool,
  members: readonly Versioned[],
  signal: AbortSignal,
): Promise<string[]> {
  const areDecided = async () => (await findUndecided(database, members)).length === 0
  const options = { timeoutMs: PATIENCE_MS, intervalMs: 500, signal }
  await waitFor(areDecided, options).catch(() => signal.throwIfAborted())
  const undecided = await findUndecided(database, members)
  return [...undecided, ...(await findGaps(database)), ...(await findTwice(database))]
}

/** Schedules of which no tick is decided any more, though a worker lives that defines the job. */
async function findUndecided(database: Pool, members: readonly Versioned[]): Promise<string[]> {
  const { rows } = await database.query<{
    name: string
    cron: string
    timeZone: string
    cursor: Date
    now: Date
  }>(
    'select "name", "cron", "timeZone", "cursor", clock_timestamp() as now from "JobSchedule" where "retiredAt" is null',
  )
  const living = members.flatMap(({ version }) => SCHEDULES[version] ?? [])
  return [...new Set(living.map(({ name }) => name))].flatMap((name) => {
    const row = rows.find((each) => each.name === name)
    if (!row) return [`${name} has no row`]
    const isDefined = living.some((job) => job.name === name && job.schedule.cron === row.cron)
    if (!isDefined) return [`${name} is ${row.cron}, which no living worker defines`]
    const next = nextTick(row, row.cursor)
    const isLate = next !== null && row.now.getTime() - next.getTime() > 5_000
    return isLate ? [`${name} has been due since ${next.toISOString()}`] : []
  })
}

async function findGaps(database: Pool): Promise<string[]> {
  const { rows } = await database.query<{ from: Date; to: Date }>(
    `select "scheduledFor" as "from", coalesce("through", "scheduledFor") as "to" from "JobTick" where "name" = $1 order by 1`,
    [STEADY],
  )
  const steady = { cron: '* * * * * *', timeZone: 'UTC' }
  return rows.slice(1).flatMap(({ from }, index) => {
    const [expected] = nextTicks(steady, rows[index]?.to ?? from)
    return expected?.getTime() === from.getTime()
      ? []
      : [`${STEADY} lacks ${expected?.toISOString()}`]
  })
}

async function findTwice(database: Pool): Promise<string[]> {
  const { rows } = await database.query<{ name: string; at: Date }>(
    `select "name", "scheduledFor" as at from "JobRun" where "scheduledFor" is not null
     group by 1, 2 having count(distinct "workId") > 1`,
  )
  return rows.map(({ name, at }) => `${name} has two pieces of work for ${at.toISOString()}`)
}
