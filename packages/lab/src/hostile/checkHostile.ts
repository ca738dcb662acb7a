import { readdir, readFile } from 'node:fs/promises'
import type { CheckResult } from '../chaos/checks/checkGuarantees.ts'
import type { Queryable } from '../openPool.ts'
import type { Crash, FleetHistory, Gap, Life } from './createFleet.ts'
import type { DefinitionCounts } from './drawDefinitions.ts'
import type { Enqueued } from './enqueueLoad.ts'
import {
  attemptsOf,
  guilty,
  guiltyTick,
  INNOCENTS,
  innocentLong,
  LONG_STEPS,
} from './hostileJobs.ts'

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

/** How late innocent work ended, apart from the time that guilty work blocked its worker, or a restart took. */
export interface Lateness {
  count: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export interface HostileFigures {
  checks: CheckResult[]
  lateness: Record<LatenessKind, Lateness>
  runs: number
  codes: Map<string, number>
}

interface RunRow {
  id: string
  name: string
  status: string
  attempt: number
  queueJobId: string
  errorCode: string | null
  hasCode: boolean
  effects: number
  startedAt: Date
  endedAt: Date | null
  createdAt: Date
  scheduledFor: Date | null
  [column: string]: unknown
}

/** Ends that cost the work none of its attempts. */
const FREE_CODES = new Set(['worker_lost', 'drained', 'expired'])
/** How many workers a piece of work may lose before it is given up. */
const MAX_FREE = 40
type LatenessKind = 'outcomes' | 'deadly' | 'caught'

/** How late work may end. Work that a crash caught waits, with back-off, until it may run alone; other work does not. */
const MAX_LATE_MS: Record<LatenessKind, number> = {
  outcomes: 10_000,
  deadly: 60_000,
  caught: 240_000,
}
const MAX_LAG_MS = 3_000
const MAX_GROWTH_BYTES = 64 * 1024 * 1024
const MAX_MORE_RESOURCES = 100
/** Enough samples of a worker's life to tell growth from warming up. */
const MIN_SAMPLES = 10

export async function checkHostile(
  database: Queryable,
  evidence: Evidence,
): Promise<HostileFigures> {
  const runs = await readRuns(database)
  const innocents = runs.filter(({ name }) => INNOCENTS.includes(name))
  const lateness = measureLateness(innocents, evidence)
  const codes = new Map<string, number>()
  for (const { errorCode } of runs) {
    if (errorCode !== null) codes.set(errorCode, (codes.get(errorCode) ?? 0) + 1)
  }
  const checks = [
    await checkEnds(database, runs, evidence),
    checkExpectations(runs, evidence),
    checkCodes(runs),
    checkAttempts(runs),
    await checkInnocents(database, innocents, evidence),
    checkLateness(lateness),
    checkTicks(runs, evidence),
    checkLag(evidence.fleet),
    checkHeld(evidence.fleet.lives),
    checkCrashes(evidence.fleet),
    checkDefinitions(evidence.definitions),
    await checkLeft(evidence),
  ]
  return { checks, lateness, runs: runs.length, codes }
}

async function readRuns(database: Queryable): Promise<RunRow[]> {
  const { rows } = await database.query<RunRow>(`
    select "id", "name", "status", "attempt", "queueJobId", "errorCode",
      "details" #>> '{error,code}' is not null and "details" #>> '{error,message}' is not null as "hasCode",
      case when jsonb_typeof("details" -> 'effects') = 'number' and "name" like 'innocent%'
        then ("details" ->> 'effects')::int else 0 end as "effects",
      "startedAt", "endedAt", "createdAt", "scheduledFor"
    from "JobRun" order by "startedAt", "id"`)
  return rows
}

async function checkEnds(
  database: Queryable,
  runs: readonly RunRow[],
  { isQuiet, enqueued }: Evidence,
): Promise<CheckResult> {
  const running = runs.filter(({ status }) => status === 'running')
  const { rows } = await database.query<{ claims: number; waiting: number }>(`
    select (select count(*)::int from (
        select "runIds" from "JobClaim" union all select "runIds" from "JobStart"
      ) held where "runIds" <> '{}') as claims,
      (select count(*)::int from pgboss.job
       where state in ('created', 'retry', 'active') and start_after < now() + interval '1 hour'
         and (name in ('deadly', 'guilty', 'guiltyAgain', 'guiltyHasty', 'innocent', 'innocentLong')
           or name like 'drawn%')) as waiting`)
  const { claims = 0, waiting = 0 } = rows[0] ?? {}
  const started = new Set(runs.map(({ queueJobId }) => queueJobId))
  const vanished = [...enqueued.keys()].filter((id) => !started.has(id)).length
  return {
    guarantee: 'G2, G9',
    name: 'every run ended, and nothing waits or is held once all is quiet',
    isPassed: isQuiet && running.length + claims + waiting + vanished === 0,
    figures:
      `${runs.length} runs of ${enqueued.size} pieces of work and of ticks; ${running.length} still running ` +
      `(${countBy(running)}), ${claims} claims held, ${waiting} waiting, ${vanished} never started`,
  }
}

function checkExpectations(runs: readonly RunRow[], { enqueued }: Evidence): CheckResult {
  const wrong = runs.filter((run) => {
    const expected = enqueued.get(run.queueJobId)
    return run.name === guilty.name && expected?.ends === 'failed' && run.status === 'success'
  })
  const kinds = new Set(wrong.map((run) => enqueued.get(run.queueJobId)?.kind))
  return {
    guarantee: 'G2, G9',
    name: 'what threw is recorded as failed',
    isPassed: wrong.length === 0,
    figures: `${wrong.length} successes of what had to fail${kinds.size > 0 ? `: ${[...kinds].join(', ')}` : ''}`,
  }
}

function checkCodes(runs: readonly RunRow[]): CheckResult {
  const failed = runs.filter(({ status }) => status === 'failed')
  const bare = failed.filter(({ hasCode, errorCode }) => !hasCode || errorCode === null)
  return {
    guarantee: 'G9',
    name: 'every run that failed has a code and a reason',
    isPassed: bare.length === 0,
    figures: `${failed.length} failed, ${bare.length} of them without`,
  }
}

function checkAttempts(runs: readonly RunRow[]): CheckResult {
  const byWork = Map.groupBy(runs, ({ queueJobId }) => queueJobId)
  let most = 0
  const beyond: string[] = []
  for (const attempts of byWork.values()) {
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

async function checkInnocents(
  database: Queryable,
  runs: readonly RunRow[],
  { enqueued }: Evidence,
): Promise<CheckResult> {
  const { rows } = await database.query<{ runId: string; queueJobId: string; steps: number }>(`
    select "runId", "queueJobId", count(*)::int as steps from "HostileEffect" group by 1, 2`)
  const effectsOf = new Map(rows.map((row) => [row.runId, row.steps]))
  const byWork = Map.groupBy(runs, ({ queueJobId }) => queueJobId)
  const problems: string[] = []
  for (const [queueJobId, { name }] of enqueued) {
    if (INNOCENTS.includes(name) && !byWork.has(queueJobId)) problems.push(`${name} never started`)
  }
  let failed = 0
  for (const attempts of byWork.values()) {
    const name = attempts[0]?.name ?? ''
    const successes = attempts.filter(({ status }) => status === 'success').length
    const done = attempts.reduce((sum, { id }) => sum + (effectsOf.get(id) ?? 0), 0)
    const isCounted = attempts.every(({ id, effects }) => effects === (effectsOf.get(id) ?? 0))
    failed += attempts.filter(
      ({ status, errorCode }) => status === 'failed' && !FREE_CODES.has(errorCode ?? ''),
    ).length
    if (successes !== 1) problems.push(`${name} succeeded ${successes} times: ${codesOf(attempts)}`)
    else if (done !== (name === innocentLong.name ? LONG_STEPS : 1))
      problems.push(`${name} left ${done} rows`)
    else if (!isCounted) problems.push(`${name} counted wrongly`)
  }
  return {
    guarantee: 'G3, G6, G9',
    name: 'each piece of innocent work succeeded once, with exact effects and counts',
    isPassed: problems.length === 0,
    figures: `${byWork.size} pieces of work, ${runs.length} runs, ${failed} of them failed; ${problems.length} wrong${sampleOf(problems)}`,
  }
}

function measureLateness(
  runs: readonly RunRow[],
  { from, deadlyFrom, fleet }: Evidence,
): HostileFigures['lateness'] {
  const late: Record<LatenessKind, number[]> = { outcomes: [], deadly: [], caught: [] }
  const gaps = fleet.gaps.toSorted((one, other) => one.from - other.from)
  for (const attempts of Map.groupBy(runs, ({ queueJobId }) => queueJobId).values()) {
    const success = attempts.find(({ status }) => status === 'success')
    const [first] = attempts
    if (!success?.endedAt || !first) continue
    // A tick is due at its instant. The lateness of other work counts from its id, which says when it was enqueued.
    const dueAt = (first.scheduledFor ?? enqueuedAt(first)).getTime()
    if (dueAt < from) continue
    const endedAt = success.endedAt.getTime()
    const ownMs = endedAt - success.startedAt.getTime()
    const excusedMs = overlap(gaps, dueAt, endedAt)
    const kind = attempts.length > 1 ? 'caught' : dueAt < deadlyFrom ? 'outcomes' : 'deadly'
    late[kind].push(Math.max(0, endedAt - dueAt - ownMs - excusedMs))
  }
  return {
    outcomes: distribution(late.outcomes),
    deadly: distribution(late.deadly),
    caught: distribution(late.caught),
  }
}

/** A version 7 UUID contains the time at which it was made. */
function enqueuedAt({ queueJobId }: RunRow): Date {
  return new Date(Number.parseInt(queueJobId.replaceAll('-', '').slice(0, 12), 16))
}

/** For how much of the time at least one worker could do nothing. */
function overlap(gaps: readonly Gap[], from: number, to: number): number {
  let sum = 0
  let until = from
  for (const gap of gaps) {
    if (gap.from >= to) break
    const start = Math.max(gap.from, until)
    const end = Math.min(gap.to, to)
    if (end > start) {
      sum += end - start
      until = end
    }
  }
  return sum
}

function distribution(values: number[]): Lateness {
  const sorted = values.toSorted((one, other) => one - other)
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

function checkLateness({ outcomes, deadly, caught }: HostileFigures['lateness']): CheckResult {
  const show = ({ count, p50Ms, p99Ms, maxMs }: Lateness) =>
    `${p50Ms} / ${p99Ms} / ${maxMs} ms (${count})`
  return {
    guarantee: 'G9',
    name: `innocent work started in time, but for the guilty one's blocking and the restarts it caused`,
    isPassed:
      outcomes.maxMs <= MAX_LATE_MS.outcomes &&
      deadly.maxMs <= MAX_LATE_MS.deadly &&
      caught.maxMs <= MAX_LATE_MS.caught,
    figures:
      `late by p50 / p99 / at most ${show(outcomes)}; beside what ends its process ${show(deadly)}; ` +
      `of what a crash had caught ${show(caught)}; ` +
      `allowed ${MAX_LATE_MS.outcomes}, ${MAX_LATE_MS.deadly} and ${MAX_LATE_MS.caught} ms`,
  }
}

function checkTicks(runs: readonly RunRow[], { to }: Evidence): CheckResult {
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

function checkLag({ lags }: FleetHistory): CheckResult {
  const beyond = distribution(lags.map(({ beyondMs }) => beyondMs))
  const longest = Math.max(0, ...lags.map(({ from, to }) => to - from))
  return {
    guarantee: 'G9',
    name: 'the event loop stands still only for as long as a handler keeps it',
    isPassed: beyond.maxMs <= MAX_LAG_MS,
    figures:
      `${lags.length} pauses of 50 ms or more, the longest ${longest} ms; beyond what the handlers took ` +
      `p50 / p99 / at most ${beyond.p50Ms} / ${beyond.p99Ms} / ${beyond.maxMs} ms; allowed ${MAX_LAG_MS} ms`,
  }
}

function checkHeld(lives: readonly Life[]): CheckResult {
  const long = lives.filter(({ held }) => held.length >= MIN_SAMPLES)
  const growths = long.map(({ held }) => {
    const warm = held.slice(Math.floor(held.length * 0.3), Math.ceil(held.length * 0.5))
    const end = held.slice(Math.floor(held.length * 0.8))
    const grown = (of: (one: (typeof held)[number]) => number) =>
      Math.min(...end.map(of)) - Math.max(...warm.map(of))
    return {
      bytes: grown(({ bytes }) => bytes),
      listeners: grown(({ listeners }) => listeners),
      resources: grown(({ resources }) => resources),
    }
  })
  const most = (of: (one: (typeof growths)[number]) => number) => Math.max(0, ...growths.map(of))
  const bytes = most((one) => one.bytes)
  const listeners = most((one) => one.listeners)
  const resources = most((one) => one.resources)
  return {
    guarantee: 'G9',
    name: 'memory, timers, sockets and listeners do not grow',
    isPassed: bytes <= MAX_GROWTH_BYTES && listeners <= 2 && resources <= MAX_MORE_RESOURCES,
    figures:
      `of ${long.length} workers that lived for longer, at most ${(bytes / 1_048_576).toFixed(1)} MB, ${listeners} listeners ` +
      `and ${resources} timers or sockets more at the end than once warm; allowed ${MAX_GROWTH_BYTES / 1_048_576} MB`,
  }
}

function checkCrashes({ crashes, exits, rescuedFrom }: FleetHistory): CheckResult {
  const unnamed = crashes.filter(
    (crash) => !crash.hasLoggedError && !rescuedFrom.has(crash.workerId),
  )
  const stuck = crashes.filter(({ wasStuck }) => wasStuck)
  const badExits = exits.filter(({ code }) => code !== 0)
  return {
    guarantee: 'G8, G9',
    name: 'each crash is named in the logs, none stands still for ever, and what is asked to end ends with 0',
    isPassed: unnamed.length + stuck.length + badExits.length === 0,
    figures:
      `${crashes.length} workers ended by themselves (${summarizeExits(crashes)}); ${unnamed.length} of them without a line, ` +
      `${stuck.length} had to be killed from outside; ${exits.length} asked to end, ${badExits.length} of them otherwise`,
  }
}

function summarizeExits(crashes: readonly Crash[]): string {
  const by = Map.groupBy(crashes, ({ exit }) => exit.signal ?? `code ${exit.code}`)
  return [...by].map(([how, ones]) => `${ones.length} × ${how}`).join(', ') || 'none'
}

function checkDefinitions({ accepted, refused, problems }: DefinitionCounts): CheckResult {
  const what = [...new Set(problems.map((problem) => problem.what))]
  return {
    guarantee: 'G9',
    name: 'a definition is refused with its name and the reason, or honoured',
    isPassed: problems.length === 0,
    figures: `${accepted} honoured, ${refused} refused, ${problems.length} neither${sampleOf(what)}`,
  }
}

async function checkLeft({ fleet, temporary, marker }: Evidence): Promise<CheckResult> {
  const files = await readdir(temporary)
  const processes = await findProcesses(marker)
  return {
    guarantee: 'G9',
    name: 'no file and no process is left behind',
    isPassed: files.length + processes.length === 0,
    figures: `${fleet.started} processes started, ${processes.length} left; ${files.length} files left${sampleOf(files)}`,
  }
}

/** Finds processes with the marker in their environment. Without /proc it finds none. */
async function findProcesses(marker: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')),
  )
  return pids.filter((_, index) => environments[index]?.includes(marker))
}

function countBy(runs: readonly RunRow[]): string {
  const by = Map.groupBy(runs, ({ name }) => name)
  return [...by].map(([name, ones]) => `${ones.length} × ${name}`).join(', ') || 'none'
}

function codesOf(runs: readonly RunRow[]): string {
  return runs.map(({ status, errorCode }) => errorCode ?? status).join(', ')
}

function sampleOf(problems: readonly string[]): string {
  return problems.length === 0 ? '' : `: ${problems.slice(0, 5).join('; ').replaceAll('|', '\\|')}`
}
