import { checkProblem } from '../arguments/watches.ts'
import { MAX_REFUSED } from '../read/listKeyedSchedules.ts'
import { readableLine } from '../job/storableText.ts'
import { MAX_MEASURED } from '../read/getQueueStats.ts'
import { MAX_RUNS_OF_WEEK, type JobProblem } from '../read/getJobHealth.ts'
import type { ProblemKind } from '../read/listProblems.ts'

/** What is told; the rest is seen in the console. Of dead letters one alert for each code, and one for further codes of a job. */
export type AlertKind = Exclude<ProblemKind, 'slow' | 'lockWait' | 'recovered'>

/** Something is wrong (`began`), or no longer is (`ended`). A webhook gets this as JSON. */
export interface AlertNotice {
  version: 1
  /** The same for the beginning and the end of an alert. A notice with the same id and event is a repeated delivery. */
  id: string
  event: 'began' | 'ended'
  kind: AlertKind
  /** Null when it is about no job in particular. */
  job: string | null
  /** Of dead letters the error code, except beyond 20 of a job; of an exceeded shared limit its name; else null. */
  code: string | null
  /** A sentence for people. */
  text: string
  /** ISO 8601 in UTC, by the database's clock. */
  startedAt: string
  /** Null in a notice that it began. */
  endedAt: string | null
  /**
   * Numbers, instants, names and a label, known when the alert was raised; of errors the `code`, and as `thrown` the class and
   * the first frame. Never payloads or messages.
   */
  facts: AlertFacts
  /** The console's page about it; null without `consoleUrl`. */
  url: string | null
}

export type AlertFacts = Readonly<Record<string, string | number>>

/** A way to send notices to people. */
export interface AlertChannel {
  /** Letters, digits, `-` and `_`, at most 100. Processes that send into the same channel give it the same name. */
  readonly name: string
  /**
   * Sends a notice, and resolves once the receiver has it. When it rejects, or goes on after the signal is aborted, a watcher
   * calls it again later: it may send a notice twice.
   */
  send(notice: AlertNotice, signal: AbortSignal): Promise<void>
}

/** What an alert is about. At most one alert is open for each subject. */
export interface AlertSubject {
  kind: AlertKind
  /** The job's name; empty when it is about no job in particular. */
  name: string
  /**
   * The error code of dead letters, empty of a job's other codes where it has many; the name of a shared limit that is exceeded; empty
   * of other kinds.
   */
  code: string
}

/** Something that is wrong at this moment. */
export interface AlertCause extends AlertSubject {
  facts: AlertFacts
  /** How long it has to go on before channels are told. */
  afterMs: number
}

/** One text for what an alert is about, to compare causes with open alerts. */
export function subjectKey({
  kind,
  name,
  code,
}: Omit<AlertSubject, 'kind'> & { kind: string }): string {
  return JSON.stringify([kind, name, code])
}

export interface AlertRow extends AlertSubject {
  id: string
  facts: AlertFacts
  /** ISO 8601. */
  startedAt: string
  endedAt: string | null
}

/** What channels are told of an alert: its facts as a sentence, and the console's page about it. */
export function toNotice(
  { id, kind, name, code, facts, startedAt, endedAt }: AlertRow,
  event: AlertNotice['event'],
  consoleUrl: string | undefined,
): AlertNotice {
  return {
    version: 1,
    id,
    event,
    kind,
    job: name === '' ? null : name,
    code: code === '' ? null : code,
    // On one line, as a subject: of codes, earlier versions and others may have written any.
    text: readableLine(
      event === 'began'
        ? sayProblem(kind, name, code, facts)
        : `Resolved: ${OVER[kind](name, code)}`,
    ),
    startedAt,
    endedAt: event === 'began' ? null : endedAt,
    facts,
    url:
      consoleUrl === undefined ? null : `${consoleUrl.replace(/\/+$/, '')}${placeOf(kind, name)}`,
  }
}

/** Says in a sentence what keeps jobs from being done. */
export function describeProblem(problem: JobProblem): string {
  // Whoever asks how the jobs are may be anybody: no version, no customer's key, and not how much there is to do.
  const { kind, name = '', ...told } = checkProblem(problem)
  const facts = { ...told, version: null, key: null, runsInWeek: null }
  return sayProblem(kind, name, '', facts)
}

function sayProblem(
  kind: AlertKind,
  name: string,
  code: string,
  facts: Readonly<Record<string, unknown>>,
): string {
  const of = (fact: string) => String(facts[fact])
  switch (kind) {
    case 'noWorker':
      return 'No worker is alive: no job is scheduled or run'
    case 'late':
      return `${name}${typeof facts['key'] === 'string' ? `, schedule ${facts['key']},` : ''} is late: a tick was due at ${of('since')}, and no worker has decided it`
    case 'unscheduled':
      return `${name} is scheduled by no worker: the workers that are alive run another version`
    case 'overrunning':
      return `${name} overruns: a run that started at ${of('since')} still runs beyond its time-out`
    case 'silent':
      return `Worker ${of('workerId')} has been silent since ${of('since')}, and its runs wait`
    case 'orphaned': {
      const { since, lastRunAt, version } = facts
      const first = typeof since === 'string' ? `, the first since ${since}` : ''
      const by = typeof version === 'string' ? `, version ${version}` : ''
      const last =
        typeof lastRunAt === 'string' ? `; its last run started at ${lastRunAt}${by}` : ''
      const { runsInWeek: runs } = facts
      const over = runs === MAX_RUNS_OF_WEEK ? 'at least ' : ''
      const week =
        typeof runs === 'number' ? `; ${over}${runs} of its runs started within 7 days` : ''
      return `${name} is known to no worker: ${inNumbers(Number(facts['waiting']))}${first}${last}${week}`
    }
    case 'failing': {
      const what =
        facts['runs'] === 1
          ? `its last run, with ${of('code')}`
          : `${of('failed')} of its last ${of('runs')} runs, most often with ${of('code')}`
      const where = facts['host'] === undefined ? '' : `, all on ${of('host')}`
      const whose = facts['ofGroup'] === undefined ? '' : `, ${of('ofGroup')}`
      return `${name} fails: ${what}${sayThrown(facts)}${sayUsual(facts)}${where}${whose}${sayFirstRun(facts)}`
    }
    case 'clock':
      return `the clock of ${of('host')} is ${Number(facts['aheadMs']) < 0 ? 'behind' : 'ahead of'} the database's: by ${inSeconds(Math.abs(Number(facts['aheadMs'])))} for a run that started at ${of('lastAt')}`
    case 'heldKey':
      return `the unique key ${of('uniqueKey')} of ${name} is held until ${of('until')} by work ${of('workId')}, ${of('act')} ${typeof facts['by'] === 'string' ? `by ${facts['by']}` : `at ${of('since')}`}: what is enqueued with it is left out`
    case 'limitExceeded': {
      const what = `limit ${code === '' ? `of ${name}` : code}${typeof facts['key'] === 'string' ? `, key ${facts['key']},` : ''}`
      return `${what} has ${of('running')} runs where ${of('most')} may be: see who holds its slots with \`roundsman limits list\`, and report it as a defect`
    }
    case 'keyBlocked':
      return `${name}, key ${of('key')}: ${inNumbers(Number(facts['waiting']))} behind the dead letter ${of('workId')} (${of('code')}) of ${of('since')}: retry or discard it${sayOtherKeys(facts)}`
    case 'expired':
      return `${name} starts too late: ${of('expired')} of its last ${of('runs')} runs were not started in time${sayUsual(facts)}${sayFirstRun(facts)}`
    case 'pausedQueue':
      return `the queue of ${name} is paused since ${of('since')} by ${of('by')}${facts['waiting'] === 0 ? '' : `: ${inNumbers(Number(facts['waiting']))}`}`
    case 'idle':
      return `${name} does nothing: its last ${of('runs')} runs counted 0, usually ${of('usual')}${sayFirstRun(facts)}`
    case 'slower':
      return `${name} is slower: half of its last ${of('runs')} runs took ${inSeconds(facts['p50Ms'])} or more, usually ${inSeconds(facts['usualMs'])}${sayFirstRun(facts)}`
    case 'refused':
      return `${name} takes the payloads of ${facts['count'] === 1 ? 'a schedule' : `${of('count')}${Number(facts['count']) >= MAX_REFUSED ? ' or more' : ''} schedules`} no more, paused for that: ${of('key')} since ${of('since')}`
    case 'rescheduled':
      return `${name} has another schedule since ${of('since')}, by ${of('by')}: ${of('change')}`
    case 'poison':
      return `work ${of('workId')} of ${name} has ended ${of('losses')} workers${sayFirstRun(facts)}${sayInWeek(facts)}`
    case 'blocked':
      return `${name} was blocked by its guard: ${of('due')} rows are due; somebody may approve it until ${of('approvableUntil')}`
    case 'deadLetter':
      return `${name} gave up work with ${toCode(code)}: ${of('count')} dead ${facts['count'] === 1 ? 'letter' : 'letters'}${sayThrown(facts)}`
    case 'oldSnapshot':
      return `${of('holder')} keeps old rows from being removed${facts['since'] === undefined ? '' : `, in a transaction open since ${of('since')}`}: the queue's tables grow, and each worker that starts reads past them`
    case 'connections':
    case 'unvacuumed':
      return of('problem')
    case 'backlog':
      return `${name} is behind: ${inNumbers(Number(facts['waiting']))}, the first since ${of('since')}${sayMain(facts)}${sayHeld(facts)}`
    default:
      return kind satisfies never
  }
}

const sayOtherKeys = ({ count }: Readonly<Record<string, unknown>>) =>
  typeof count === 'number' && count > 1 ? `; ${count} keys wait so` : ''

/** Says `, TypeError at send (src/send.ts:3:4)`. */
const sayThrown = ({ thrown }: Readonly<Record<string, unknown>>) =>
  typeof thrown === 'string' && thrown !== '' ? `, ${thrown}` : ''

const sayUsual = ({ usualPercent }: Readonly<Record<string, unknown>>) =>
  typeof usualPercent === 'number' ? `, usually ${usualPercent} %` : ''

/** Says since when, and with which version it began: `, since 2026-11-24T04:37:00.000Z, first run of version 0.2.1`. */
function sayFirstRun({ since, version, runsBefore }: Readonly<Record<string, unknown>>): string {
  if (typeof since !== 'string') return ''
  if (typeof version !== 'string' || typeof runsBefore !== 'number') return `, since ${since}`
  if (runsBefore === 0) return `, since ${since}, first run of version ${version}`
  return `, since ${since}, version ${version}`
}

/** Says that a cause is gone. */
const OVER: Record<AlertKind, (name: string, code: string) => string> = {
  noWorker: () => 'a worker is alive again',
  late: (name) => `${name} is on time again`,
  unscheduled: (name) => `${name} is scheduled again`,
  overrunning: (name) => `no run of ${name} overruns any more`,
  silent: () => 'no worker is silent any more',
  orphaned: (name) => `no work of ${name} waits any more that no worker knows`,
  failing: (name) => `${name} does not fail any more`,
  clock: () => 'no clock of a worker is wrong any more',
  heldKey: (name) => `no unique key of ${name} is held for unusually long any more`,
  limitExceeded: (name, code) =>
    `limit ${code === '' ? `of ${name}` : code} is not exceeded any more`,
  keyBlocked: (name) => `no key of ${name} waits behind a dead letter any more`,
  connections: () => 'the database has connections left again',
  expired: (name) => `${name} is started in time again`,
  pausedQueue: (name) => `the queue of ${name} is resumed, or nothing has waited in it for an hour`,
  idle: (name) => `${name} does something again`,
  slower: (name) => `${name} is as fast as usual again`,
  refused: (name) => `no schedule of ${name} is paused for its payload any more`,
  rescheduled: (name) => `the schedule of ${name} has not changed for a day`,
  poison: (name) => `no work of ${name} that has lost workers waits or runs any more`,
  blocked: (name) => `no blocked run of ${name} waits for an approval any more`,
  deadLetter: (name, code) => `${name} has no dead letters with ${toCode(code)} any more`,
  oldSnapshot: () => 'nobody keeps old rows from being removed any more',
  unvacuumed: () => 'the tables of the queue are vacuumed again',
  backlog: (name) => `${name} is caught up with, or paused`,
}

/** Says `; 97 % of it is tenant 42`. */
function sayMain({ main, mainPercent, mainOfFirst }: Readonly<Record<string, unknown>>): string {
  if (typeof main !== 'string') return ''
  const whole = typeof mainOfFirst === 'number' ? `the first ${mainOfFirst}` : 'it'
  return `; ${String(mainPercent)} % of ${whole} is ${main}`
}

/** Says `; all 4 slots are held, the oldest since 2026-11-24T04:37:00.000Z by run …`. */
function sayHeld({ slots, heldSince, runId }: Readonly<Record<string, unknown>>): string {
  if (typeof slots !== 'number') return ''
  const what = slots === 1 ? 'the only slot is held,' : `all ${slots} slots are held, the oldest`
  return `; ${what} since ${String(heldSince)} by run ${String(runId)}`
}

function sayInWeek({ inWeek: count }: Readonly<Record<string, unknown>>): string {
  if (typeof count !== 'number') return ''
  return count <= 1 ? ', the first of the job in 7 days' : `, one of ${count} of the job in 7 days`
}

function inNumbers(waiting: number): string {
  if (waiting === 1) return '1 piece of work waits'
  return `${waiting >= MAX_MEASURED ? 'at least ' : ''}${waiting} pieces of work wait`
}

const inSeconds = (ms: unknown) => `${Number((Number(ms) / 1_000).toPrecision(2))} s`

const toCode = (code: string) => (code === '' ? 'other codes' : code)

function placeOf(kind: AlertKind, name: string): string {
  if (kind === 'deadLetter' || kind === 'orphaned' || kind === 'keyBlocked') return '/queue'
  return name === '' ? '/' : `/jobs/${encodeURIComponent(name)}`
}
