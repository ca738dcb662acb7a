import { sampleOf, type CheckResult } from '../../checks.ts'
import { countStrays, WORK_LEFT } from '../../countStrays.ts'
import type { Queryable } from '../../openPool.ts'
import { increase } from '../../markdown.ts'
import type { FleetHistory } from '../createHostileFleet.ts'
import type { DefinitionCounts } from '../drawDefinitions.ts'
import type { Enqueued } from '../enqueueLoad.ts'
import { attemptsOf, guilty, guiltyTick } from '../hostileJobs.ts'
import { checkInnocents, countBy, FREE_CODES } from './checkInnocents.ts'
import { checkLateness, measureLateness, type LatenessByKind } from './checkLateness.ts'
import { checkCrashes, checkDeadly, checkHeld, checkLag, checkLeft } from './checkProcesses.ts'

/** What the driver knows once all workers have ended. */
export interface Evidence {
  enqueued: ReadonlyMap<string, Enqueued>
  /** Whether all waiting work ended in time. */
  isQuiet: boolean
  /** When the first outcome and the first deadly one were enqueued, and when all was quiet. */
  from: number
  deadlyFrom: number
  to: number
  fleet: FleetHistory
  /** The workers' folder for temporary files, and a mark in their environment. */
  temporary: string
  marker: string
  definitions: DefinitionCounts
}

/** A run as the database has it. */
export interface RunRow {
  id: string
  name: string
  status: string
  attempt: number
  workId: string
  workerId: string | null
  errorCode: string | null
  /** Whether its details have a code and a message. */
  hasCode: boolean
  effects: number
  startedAt: Date
  scheduledFor: Date | null
  [column: string]: unknown
}

/** What a check looks at. */
export interface Seen extends Evidence {
  database: Queryable
  /** All runs, and those of each piece of work, by when they started. */
  runs: readonly RunRow[]
  attemptsByWork: ReadonlyMap<string, readonly RunRow[]>
  lateness: LatenessByKind
}

export type Check = (seen: Seen) => CheckResult | Promise<CheckResult>

export interface HostileFigures {
  checks: CheckResult[]
  lateness: LatenessByKind
  runs: number
  /** How many runs ended with each code. */
  codes: Map<string, number>
}

/** How many workers a piece of work may lose before it is given up. */
const MAX_FREE = 40

/** Checks the database, and what the driver saw of the workers, after all of them have ended. */
export async function checkHostile(
  database: Queryable,
  evidence: Evidence,
): Promise<HostileFigures> {
  const runs = await readRuns(database)
  const attemptsByWork = Map.groupBy(runs, ({ workId }) => workId)
  const lateness = measureLateness(attemptsByWork, evidence)
  const seen: Seen = { ...evidence, database, runs, attemptsByWork, lateness }
  const inOrder: readonly Check[] = [
    checkEnds,
    checkExpectations,
    checkCodes,
    checkAttempts,
    checkInnocents,
    checkLateness,
    checkTicks,
    checkLag,
    checkHeld,
    checkCrashes,
    checkDeadly,
    checkDefinitions,
    checkLeft,
  ]
  const checks: CheckResult[] = []
  for (const check of inOrder) checks.push(await check(seen))
  const codes = new Map<string, number>()
  for (const { errorCode } of runs) {
    if (errorCode !== null) increase(codes, errorCode)
  }
  return { checks, lateness, runs: runs.length, codes }
}

async function readRuns(database: Queryable): Promise<RunRow[]> {
  const { rows } = await database.query<RunRow>(`
    select "id", "name", "status", "attempt", "workId", "workerId", "errorCode",
      "details" #>> '{error,code}' is not null and "details" #>> '{error,message}' is not null as "hasCode",
      case when jsonb_typeof("details" -> 'effects') = 'number' and "name" like 'innocent%'
        then ("details" ->> 'effects')::int else 0 end as "effects",
      "startedAt", "scheduledFor"
    from "JobRun" order by "startedAt", "id"`)
  return rows
}

const checkEnds: Check = async ({ database, runs, enqueued, isQuiet }) => {
  const running = runs.filter(({ status }) => status === 'running')
  const { rows } = await database.query<{ claims: number; waiting: number; gone: number }>(`
    select (select count(*)::int from "JobClaim" where "runIds" <> '{}') as claims,
      (select count(*)::int from "JobWork"
       where "dueAt" < now() + interval '1 hour'
         and ("name" in ('deadly', 'guilty', 'guiltyAgain', 'guiltyHasty', 'innocent', 'innocentLong')
           or "name" like 'drawn%')) as waiting,
      (select count(*)::int from (
        select "workId" from "JobRun" where "trigger" = 'queue' group by 1 having not bool_or("status" = 'success')
      ) failed where "workId" not in (select "id" from ${WORK_LEFT} place)) as gone`)
  const { claims = 0, waiting = 0, gone = 0 } = rows[0] ?? {}
  const { doubled, keys, payloads } = await countStrays(database)
  const started = new Set(runs.map(({ workId }) => workId))
  const vanished = [...enqueued.keys()].filter((id) => !started.has(id)).length
  return {
    guarantee: 'G2, G9',
    name: 'every run ended, and nothing waits, is held or is left behind once all is quiet',
    isPassed:
      isQuiet &&
      running.length + claims + waiting + vanished + gone === 0 &&
      doubled + keys + payloads === 0,
    figures:
      `${runs.length} runs of ${enqueued.size} pieces of work and of ticks; ${running.length} still running ` +
      `(${countBy(running, ({ name }) => name)}), ${claims} claims held, ${waiting} waiting, ${vanished} never started, ` +
      `${gone} given up without a dead letter, ${doubled} in two places; ${keys} keys and ${payloads} payloads without work`,
  }
}

const checkExpectations: Check = ({ runs, enqueued }) => {
  const wrong = runs.filter((run) => {
    const expected = enqueued.get(run.workId)
    return run.name === guilty.name && expected?.ends === 'failed' && run.status === 'success'
  })
  const kinds = new Set(wrong.map((run) => enqueued.get(run.workId)?.kind))
  return {
    guarantee: 'G2, G9',
    name: 'what threw is recorded as failed',
    isPassed: wrong.length === 0,
    figures: `${wrong.length} successes of what had to fail${kinds.size > 0 ? `: ${[...kinds].join(', ')}` : ''}`,
  }
}

const checkCodes: Check = ({ runs }) => {
  const failed = runs.filter(({ status }) => status === 'failed')
  const bare = failed.filter(({ hasCode, errorCode }) => !hasCode || errorCode === null)
  return {
    guarantee: 'G9',
    name: 'every run that failed has a code and a reason',
    isPassed: bare.length === 0,
    figures: `${failed.length} failed, ${bare.length} of them without`,
  }
}

const checkAttempts: Check = ({ attemptsByWork }) => {
  let most = 0
  const beyond: string[] = []
  for (const attempts of attemptsByWork.values()) {
    const name = attempts[0]?.name ?? ''
    const free = attempts.filter(({ errorCode }) => FREE_CODES.has(errorCode ?? '')).length
    const limit = attemptsOf.get(name) ?? 4
    most = Math.max(most, attempts.length)
    if (attempts.length - free > limit || free > MAX_FREE) {
      beyond.push(`${name}: ${attempts.length} starts, ${free} of them lost or given back`)
    }
  }
  return {
    guarantee: 'G6, G9',
    name: 'nothing is tried more often than its limit and what was lost or given back',
    isPassed: beyond.length === 0,
    figures: `at most ${most} starts of one piece of work; ${beyond.length} beyond${sampleOf(beyond)}`,
  }
}

const checkTicks: Check = ({ runs, to }) => {
  const ticks = runs.filter(({ name }) => name === guiltyTick.name)
  const last = ticks.at(-1)
  const agoMs = last ? to - last.startedAt.getTime() : Number.POSITIVE_INFINITY
  return {
    guarantee: 'G1, G9',
    name: 'a schedule whose runs end badly goes on',
    isPassed: agoMs < 60_000,
    figures: `${ticks.length} runs, the last one ${Math.round(agoMs / 1_000)} s before the end`,
  }
}

const checkDefinitions: Check = ({ definitions: { accepted, refused, problems } }) => {
  const what = [...new Set(problems.map((problem) => problem.what))]
  return {
    guarantee: 'G9',
    name: 'a definition is refused with its name and the reason, or honoured',
    isPassed: problems.length === 0,
    figures: `${accepted} honoured, ${refused} refused, ${problems.length} neither${sampleOf(what)}`,
  }
}
