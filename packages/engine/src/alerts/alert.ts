import { readableLine } from '../job/storableText.ts'
import { MAX_MEASURED } from '../read/getQueueStats.ts'

/**
 * What can be wrong, one alert each:
 *   noWorker      no worker lives, for longer than a deployment takes
 *   late          a tick is due, and nobody has decided it within the job's grace
 *   unscheduled   workers live, and none has started with the schedule
 *   overrunning   a run goes on beyond its time-out and the job's grace
 *   orphaned      work of a job waits that neither the catalogue nor any living worker knows
 *   failing       too large a part of a job's latest runs has failed
 *   deadLetter    the queue gave work up; one alert for each job and error code, and one for further codes of a job
 *   oldSnapshot   a transaction or replication slot keeps old rows from being removed, so that claims become ever dearer
 *   queueGrowing  more work of a job comes than is done
 */
export const ALERT_KINDS = [
  'noWorker',
  'late',
  'unscheduled',
  'overrunning',
  'orphaned',
  'failing',
  'deadLetter',
  'oldSnapshot',
  'queueGrowing',
] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

/** Something is wrong (`began`), or no longer is (`ended`). A webhook gets this as JSON. */
export interface AlertNotice {
  version: 1
  /** The same for the beginning and the end of an alert. A notice with the same id and event is a repeated delivery. */
  id: string
  event: 'began' | 'ended'
  kind: AlertKind
  /** Null when it is about no job in particular. */
  job: string | null
  /** The error's code, for dead letters; else null, and for those of a job's many codes that have no alert of their own. */
  code: string | null
  /** A sentence for people. */
  text: string
  /** ISO 8601 in UTC, by the database's clock. */
  startedAt: string
  /** Null in a notice that it began. */
  endedAt: string | null
  /** Numbers, instants and names known when the alert was raised. Never payloads or messages. */
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
  /** The error code of dead letters; empty of a job's other codes, where it has many, and of other kinds. */
  code: string
}

/** Something that is wrong at this moment. */
export interface AlertCause extends AlertSubject {
  facts: AlertFacts
  /** How long it has to go on before channels are told. */
  afterMs: number
}

/** One text for what an alert is about, to compare causes with open alerts. */
export function subjectKey({ kind, name, code }: AlertSubject): string {
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
        ? inWords(kind, name, code, facts)
        : `Resolved: ${whatWas(kind, name, code)}`,
    ),
    startedAt,
    endedAt: event === 'began' ? null : endedAt,
    facts,
    url:
      consoleUrl === undefined ? null : `${consoleUrl.replace(/\/+$/, '')}${placeOf(kind, name)}`,
  }
}

function inWords(kind: AlertKind, name: string, code: string, facts: AlertFacts): string {
  switch (kind) {
    case 'noWorker':
      return 'No worker is alive: no job is scheduled or run'
    case 'late':
      return `${name} is late: a tick was due at ${facts['since']}, and no worker has decided it`
    case 'unscheduled':
      return `${name} is scheduled by no worker: the workers that are alive run another version`
    case 'overrunning':
      return `${name} overruns: a run that started at ${facts['since']} still runs beyond its time-out`
    case 'orphaned':
      return `${name} is known to no worker: ${inNumbers(Number(facts['waiting']))}`
    case 'failing':
      return `${name} fails: ${facts['failed']} of its last ${facts['runs']} runs`
    case 'deadLetter':
      return `${name} gave up work with ${toCode(code)}: ${facts['count']} dead ${facts['count'] === 1 ? 'letter' : 'letters'}`
    case 'oldSnapshot':
      return `${facts['holder']} keeps old rows from being removed${facts['since'] === undefined ? '' : `, in a transaction open since ${facts['since']}`}: claims become ever dearer`
    case 'queueGrowing':
      return `${name} falls behind: ${facts['waiting']} pieces of work wait, up from ${facts['waitingBefore']}`
    default:
      return kind satisfies never
  }
}

/** Says that a cause is gone. */
function whatWas(kind: AlertKind, name: string, code: string): string {
  switch (kind) {
    case 'noWorker':
      return 'a worker is alive again'
    case 'late':
      return `${name} is on time again`
    case 'unscheduled':
      return `${name} is scheduled again`
    case 'overrunning':
      return `no run of ${name} overruns any more`
    case 'orphaned':
      return `no work of ${name} waits any more that no worker knows`
    case 'failing':
      return `${name} does not fail any more`
    case 'deadLetter':
      return `${name} has no dead letters with ${toCode(code)} any more`
    case 'oldSnapshot':
      return 'nobody keeps old rows from being removed any more'
    case 'queueGrowing':
      return `${name} is catching up`
    default:
      return kind satisfies never
  }
}

function inNumbers(waiting: number): string {
  if (waiting === 1) return '1 piece of work waits'
  return `${waiting >= MAX_MEASURED ? 'at least ' : ''}${waiting} pieces of work wait`
}

const toCode = (code: string) => (code === '' ? 'other codes' : code)

function placeOf(kind: AlertKind, name: string): string {
  if (kind === 'deadLetter' || kind === 'orphaned') return '/queue'
  return name === '' ? '/' : `/jobs/${encodeURIComponent(name)}`
}
