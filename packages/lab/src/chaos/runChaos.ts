import { setTimeout as pause } from 'node:timers/promises'
import type { JobsClient } from '@roundsman/engine/client'
import { openPool, type Queryable, type Pool } from '../openPool.ts'
import { chaosSchedules, sweep } from './chaosJobs.ts'
import { checkGuarantees } from './checks/checkGuarantees.ts'
import { countClaims } from './countClaims.ts'
import { createChaosFleet, type ChaosFleet, type FleetHistory } from './createChaosFleet.ts'
import { createPlan, type Disturbance } from './createPlan.ts'
import { createRandom } from '../createRandom.ts'
import { answerWalks, enqueueLoad } from './enqueueLoad.ts'
import { measureRescue, type RescueFigures } from './measureRescue.ts'
import { openServer } from './openServer.ts'
import { prepareDatabase } from './prepareDatabase.ts'
import { sampleCounts } from './sampleCounts.ts'
import { createClient, openPrisma } from '../product.ts'
import type { RunContext } from '../runCommand.ts'
import type { CheckResult } from '../checks.ts'

export interface ChaosOptions {
  /** Names the run: what is done to whom, and when, depends only on it. */
  seed: number
  /** How many SIGKILLs. All other disturbances come in proportion to them. */
  kills: number
  /** How many jobs are enqueued and carried out meanwhile. */
  jobs: number
  /** How many rows the clean-up has. */
  rows: number
  /** How long the disturbances last. Starting, draining and checking come on top. */
  seconds: number
}

export interface ChaosResult {
  options: ChaosOptions
  checks: CheckResult[]
  /** How many disturbances of each kind were done. */
  disturbances: Map<string, number>
  fleet: FleetHistory
  rescue: RescueFigures
  /** Runs that were ended while their worker lived, and went on elsewhere: it was cut off, frozen, or taken for dead. */
  takenOver: number
  drainMs: number
  ranAt: Date
  totalMs: number
}

const SWEEP_BATCH = 1_000
/** The share of the disturbed time after which the clean-up would be done, if it were left alone. */
const SWEEP_SHARE = 0.7
const DRAIN_PATIENCE_MS = 180_000
const WORKERS_THAT_SWEEP = 3

/** Runs the suite once and leaves nothing behind, however it ends. */
export async function runChaos(options: ChaosOptions, context: RunContext): Promise<ChaosResult> {
  const startedAt = performance.now()
  const { signal, onProgress } = context
  const random = createRandom(options.seed)
  const durationMs = options.seconds * 1_000
  const plan = createPlan(random.fork(), { kills: options.kills, durationMs })
  onProgress('Starting PostgreSQL and filling the database')
  const startAt = new Date()
  const opened: (() => Promise<void>)[] = []
  try {
    const server = await openServer()
    opened.push(server.close)
    signal.throwIfAborted()
    const name = await prepareDatabase(server, { rows: options.rows, startAt })
    const url = server.url(name)
    const database = openPool({ url, applicationName: 'chaos driver', poolSize: 3 })
    opened.push(database.close)
    const jobs = createClient(url)
    opened.push(jobs.stop)
    await jobs.start()
    const sweeper = createSweeper({ url, jobs, database })
    opened.push(sweeper.close)
    const fleet = createChaosFleet({
      server,
      database: name,
      random: random.fork(),
      sweepBatch: SWEEP_BATCH,
      sweepPauseMs: sweepPauseMs(options.rows, durationMs),
      onEvent: context.onEvent,
    })
    opened.push(fleet.destroy)
    signal.throwIfAborted()

    onProgress('Starting the workers')
    await fleet.start()
    onProgress(`Disturbing them for ${options.seconds} s: ${describePlan(plan)}`)
    const sampling = new AbortController()
    const samples = sampleCounts({ database, random: random.fork(), signal: sampling.signal })
    opened.push(async () => {
      sampling.abort()
      await samples
    })
    const producer = { url, random: random.fork(), jobs: options.jobs, durationMs }
    const [load, disturbances] = await allOrNone(signal, (running) => [
      enqueueLoad({ ...producer, signal: running }),
      disturb(fleet, plan, running),
      sweeper.keepGoing(durationMs, running),
    ])
    signal.throwIfAborted()

    onProgress('Healing everything and letting the workers finish')
    const healedAt = performance.now()
    await fleet.heal()
    await untilDrained({ database, sweeper, signal, onProgress })
    const drainMs = performance.now() - healedAt
    sampling.abort()
    const claims = await countClaims(database)
    await fleet.stop()

    onProgress('Checking')
    const history = fleet.history()
    const checks = await checkGuarantees(database, {
      load,
      schedules: chaosSchedules,
      startAt,
      samples: await samples,
      claims,
      fleet: history,
    })
    return {
      options,
      checks,
      disturbances,
      fleet: history,
      rescue: await measureRescue(database, history.kills),
      takenOver: await countTakenOver(database, history),
      drainMs,
      ranAt: startAt,
      totalMs: performance.now() - startedAt,
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    for (const close of opened.toReversed()) await close()
  }
}

/** When one promise fails, the signal stops the others, and this waits for them; Promise.all would leave them running. */
async function allOrNone<Values extends readonly unknown[]>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => { [Key in keyof Values]: Promise<Values[Key]> },
): Promise<Values> {
  const failure = new AbortController()
  const promises = start(AbortSignal.any([signal, failure.signal]))
  for (const promise of promises) promise.catch((error: unknown) => failure.abort(error))
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

async function disturb(
  fleet: ChaosFleet,
  plan: readonly Disturbance[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const done = new Map<string, number>()
  const startedAt = performance.now()
  await Promise.all(
    plan.map(async (disturbance) => {
      const waitMs = disturbance.atMs - (performance.now() - startedAt)
      await pause(Math.max(0, waitMs), undefined, { signal })
      const kind = (await fleet.perform(disturbance)) ? labelOf(disturbance) : 'none to do it to'
      done.set(kind, (done.get(kind) ?? 0) + 1)
    }),
  )
  return done
}

function labelOf(disturbance: Disturbance): string {
  switch (disturbance.kind) {
    case 'kill':
      return 'SIGKILL'
    case 'terminate':
      return 'SIGTERM'
    case 'freeze':
      return disturbance.isCut ? 'SIGSTOP, cut off, SIGCONT' : 'SIGSTOP, SIGCONT'
    case 'cut':
      return 'connections cut'
    case 'halfOpen':
      return 'connections half-open'
    case 'clock':
      return `clock ${disturbance.offsetMs > 0 ? 'ahead' : 'behind'} by ${Math.abs(disturbance.offsetMs) / 60_000} min`
    case 'restart':
      return `PostgreSQL restarted, ${disturbance.mode}`
    case 'failOver':
      return disturbance.splitMs > 0 ? 'failed over, split brain' : 'failed over to the standby'
    case 'fullDisk':
      return 'disk full'
    default:
      return disturbance satisfies never
  }
}

interface Sweeper {
  /** Enqueues clean-ups until the time is over: a payload that was killed 25 times is given up by design. */
  keepGoing(durationMs: number, signal: AbortSignal): Promise<void>
  /** Enqueues one more, unless enough are under way. It also gives answers to walks. */
  enqueue(): Promise<void>
  close(): Promise<void>
}

function createSweeper(options: { url: string; jobs: JobsClient; database: Queryable }): Sweeper {
  const { url, jobs, database } = options
  const prisma = openPrisma(url, 'chaos driver')

  async function enqueue(): Promise<void> {
    const { rows } = await database.query<{ missing: number; left: boolean }>(
      `select $1 - count(*)::int as missing,
              exists (select from "ChaosRow" where "sweptBy" is null) as left
       from "ChaosJob" where name = 'sweep' and state in ('waiting', 'running')`,
      [WORKERS_THAT_SWEEP],
    )
    const { missing = 0, left = false } = rows[0] ?? {}
    for (let index = 0; left && index < missing; index++) {
      await prisma.$transaction((tx) => jobs.enqueue(tx, sweep, {}))
    }
    await prisma.$transaction((tx) => answerWalks(tx, jobs))
  }

  return {
    enqueue,
    async keepGoing(durationMs, signal) {
      const endsAt = performance.now() + durationMs
      while (performance.now() < endsAt && !signal.aborted) {
        // PostgreSQL may be away.
        await enqueue().catch(() => undefined)
        await pause(1_000, undefined, { signal }).catch(() => undefined)
      }
    },
    close: () => prisma.$disconnect(),
  }
}

/** Pauses the schedules and waits until nothing is left to do. What is left after a while is reported by the checks. */
async function untilDrained(options: {
  database: Pool
  sweeper: Sweeper
  signal: AbortSignal
  onProgress: (message: string) => void
}): Promise<void> {
  const { database, sweeper, signal, onProgress } = options
  const deadline = performance.now() + DRAIN_PATIENCE_MS
  for (;;) {
    signal.throwIfAborted()
    // On a busy machine the plan may be over before the first tick was enqueued, which the checks want to see.
    await database.query(`
      update "JobSchedule" set "pausedAt" = now(), "pausedBy" = 'chaos'
      where "pausedAt" is null and exists (select from "JobTick" where "outcome" = 'enqueued')`)
    await sweeper.enqueue()
    const { rows } = await database.query<{
      jobs: number
      keys: number
      runs: number
      rows: number
      isPaused: boolean
    }>(`
      select (select count(*)::int from "JobWork") as jobs,
             (select count(*)::int from "JobUnique") as keys,
             (select count(*)::int from "JobRunAll" where "status" = 'running') as runs,
             (select count(*)::int from "ChaosRow" where "sweptBy" is null) as rows,
             exists (select from "JobSchedule" where "pausedAt" is not null) as "isPaused"`)
    const { jobs = 0, keys = 0, runs = 0, rows: left = 0, isPaused = false } = rows[0] ?? {}
    const { ofDead } = await countClaims(database)
    if (isPaused && jobs + keys + runs + left + ofDead === 0) return
    if (performance.now() > deadline) {
      onProgress(
        `Not drained: ${jobs} pieces of work, ${keys} keys, ${runs} runs, ${left} rows, ${ofDead} claims of dead workers are left`,
      )
      return
    }
    await pause(200)
  }
}

async function countTakenOver(database: Queryable, { kills }: FleetHistory): Promise<number> {
  const { rows } = await database.query<{ n: number }>(
    `select count(*)::int as n
     from "JobRun" run join "ChaosRunEnd" ended on ended."runId" = run."id"
     left join unnest($1::text[], $2::timestamptz[]) kill("workerId", at)
       on kill."workerId" = run."workerId"
     where run."details" -> 'error' ->> 'code' = 'worker_lost'
       and (kill.at is null or ended."at" < kill.at)`,
    [kills.map(({ workerId }) => workerId), kills.map(({ at }) => new Date(at))],
  )
  return rows[0]?.n ?? 0
}

function sweepPauseMs(rows: number, durationMs: number): number {
  return Math.round((durationMs * SWEEP_SHARE * WORKERS_THAT_SWEEP) / (rows / SWEEP_BATCH))
}

function describePlan(plan: readonly Disturbance[]): string {
  const kills = plan.filter(({ kind }) => kind === 'kill').length
  return `${kills} kills and ${plan.length - kills} other disturbances`
}
