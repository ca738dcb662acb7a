import { nextTicks } from '@roundsman/engine/internal'
import type { ScheduledJob } from '@roundsman/engine'
import type { Check } from './checkGuarantees.ts'

interface LedgerRow {
  [column: string]: unknown
  name: string
  scheduledFor: Date
  count: number
  through: Date | null
  createdAt: Date
}

/** The ledger rounds to milliseconds. */
const MAX_LEAD_MS = 1

/** Compares the ledger with the calendar, computed anew: no due tick is missing, and none is there twice. */
export const checkTicks: Check = async (database, { schedules, startAt }) => {
  const { rows: ledger } = await database.query<LedgerRow>(
    'select "name", "scheduledFor", "count", "through", "createdAt" from "JobTick" order by "scheduledFor"',
  )
  const { rows: cursors } = await database.query<{ name: string; cursor: Date }>(
    'select "name", "cursor" from "JobSchedule"',
  )
  let due = 0
  let missing = 0
  let twice = 0
  let undue = 0
  const early = ledger.filter(isEarly).length
  for (const job of schedules) {
    const cursor = cursors.find(({ name }) => name === job.name)?.cursor
    if (!cursor) {
      missing++
      continue
    }
    const expected = new Set(ticksBetween(job, startAt, cursor))
    const seen = new Set<number>()
    for (const row of ledger.filter(({ name }) => name === job.name)) {
      const ticks = ticksOf(job, row)
      // A row that stands for several ticks must say how many.
      if (ticks.length !== row.count) undue += Math.abs(ticks.length - row.count)
      for (const tick of ticks) {
        if (!expected.has(tick)) undue++
        else if (seen.has(tick)) twice++
        seen.add(tick)
      }
    }
    due += expected.size
    missing += [...expected].filter((tick) => !seen.has(tick)).length
  }
  return {
    guarantee: 'G1',
    name: 'every due tick is in the ledger exactly once',
    isPassed: due > 0 && missing + twice + undue + early === 0,
    figures: `${due} due, ${missing} missing, ${twice} twice, ${undue} not due, ${early} early`,
  }
}

/** By PostgreSQL's clock, since the workers' own jump. */
function isEarly({ scheduledFor, through, createdAt }: LedgerRow): boolean {
  return (through ?? scheduledFor).getTime() > createdAt.getTime() + MAX_LEAD_MS
}

function ticksBetween({ schedule }: ScheduledJob, after: Date, through: Date): number[] {
  const ticks: number[] = []
  for (const tick of nextTicks(schedule, after)) {
    if (tick > through) break
    ticks.push(tick.getTime())
  }
  return ticks
}

function ticksOf(job: ScheduledJob, { scheduledFor, through }: LedgerRow): number[] {
  if (through === null) return [scheduledFor.getTime()]
  return ticksBetween(job, new Date(scheduledFor.getTime() - 1), through)
}
