import { nextTick, type ScheduledJob } from '@roundsman/engine'
import { decideTicks, dueTicks, type TickDecision } from '@roundsman/engine/internal'

/** `from` is part of the range, `to` is not. */
export interface TimeRange {
  from: Date
  to: Date
}

export interface SimulateJobOptions extends TimeRange {
  /** Meanwhile nobody decides or executes anything; workers are back at its end. */
  outage: TimeRange | null
  /** How long each run takes. */
  durationMs: number
  /** Runs that are under way or wait at the beginning. */
  runs?: readonly SimulatedRun[]
  /** How many ticks are decided at most. */
  limit: number
}

export interface SimulatedRun {
  /** The tick that it is for. */
  scheduledFor: Date
  startsAt: Date
  endsAt: Date
}

export interface SimulatedTick extends TickDecision {
  /** When a worker decides it. */
  decidedAt: Date
  /** When its run starts, if it has one. */
  startsAt: Date | null
}

export interface Simulation {
  ticks: SimulatedTick[]
  runs: SimulatedRun[]
  /** Runs that were under way or waited when the outage began, as they were then. */
  interrupted: SimulatedRun[]
  /** Where it stopped when the limit was reached. Null when it was not. */
  cutAt: Date | null
}

/**
 * Has the scheduler's own code decide each tick when it is due, or, within the outage, at the outage's end. As in reality,
 * runs that the outage interrupted start again after it, and stand in the way until they end. Every run succeeds.
 */
export async function simulateJob(
  { schedule, isExclusive }: ScheduledJob,
  { from, to, outage, durationMs, limit, runs: earlier = [] }: SimulateJobOptions,
): Promise<Simulation> {
  const ticks: SimulatedTick[] = []
  const runs: SimulatedRun[] = earlier.map((run) => ({ ...run }))
  /** The runs that have not ended. */
  let open = [...runs]
  let interrupted: SimulatedRun[] | null = null
  // As the scheduler keeps it: ticks after it are due.
  let cursor = new Date(from.getTime() - 1)

  for (;;) {
    const next = nextTick(schedule, cursor)
    if (next === null || next >= to) return result(null)
    if (ticks.length >= limit) return result(next)
    const isInOutage = outage !== null && next >= outage.from && next < outage.to
    const now = isInOutage ? outage.to : next
    if (outage !== null && now >= outage.to) interrupted ??= startAnew(outage)
    open = open.filter(({ endsAt }) => endsAt > now)
    const situation = { now, isPaused: false, isUnfinished: open.length > 0 }
    const due = await dueTicks(schedule, cursor, now)
    for (const decision of decideTicks(schedule, due, situation)) {
      const run = decision.outcome === 'enqueued' ? startRun(decision.scheduledFor, now) : null
      ticks.push({ ...decision, decidedAt: now, startsAt: run?.startsAt ?? null })
    }
    cursor = due.listed.at(-1) ?? next
  }

  function result(cutAt: Date | null): Simulation {
    const isOpen = ({ endsAt }: SimulatedRun) => outage !== null && endsAt > outage.from
    return { ticks, runs, interrupted: interrupted ?? runs.filter(isOpen), cutAt }
  }

  function startRun(scheduledFor: Date, now: Date): SimulatedRun {
    const ends = isExclusive ? open.map(({ endsAt }) => endsAt.getTime()) : []
    const run = { scheduledFor, ...lasting(Math.max(now.getTime(), ...ends)) }
    runs.push(run)
    open.push(run)
    return run
  }

  function startAnew({ from: down, to: up }: TimeRange): SimulatedRun[] {
    let startMs = up.getTime()
    const cut = open.filter(({ endsAt }) => endsAt > down)
    const before = cut.map((run) => ({ ...run }))
    for (const run of cut) {
      Object.assign(run, lasting(startMs))
      if (isExclusive) startMs += durationMs
    }
    return before
  }

  function lasting(startMs: number) {
    return { startsAt: new Date(startMs), endsAt: new Date(startMs + durationMs) }
  }
}
