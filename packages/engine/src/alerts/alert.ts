/**
 * What can be wrong, one alert each:
 *   noWorker      nobody is there to do anything, for longer than a deployment takes
 *   late          a tick is due, and nobody has decided it within the job's grace
 *   unscheduled   workers live, and none has started with the schedule
 *   overrunning   a run goes on beyond its time-out and the job's grace
 *   failing       too large a part of a job's latest runs has failed
 *   deadLetter    work was given up, for each job and error code one
 *   queueGrowing  more work of a job comes than is done
 */
export const ALERT_KINDS = [
  'noWorker',
  'late',
  'unscheduled',
  'overrunning',
  'failing',
  'deadLetter',
  'queueGrowing',
] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

/** Something is wrong (`began`), or is not any more (`ended`). This is the JSON that a webhook is sent. */
export interface AlertNotice {
  version: 1
  /** The same for the beginning and the end of one alert; with `event` it tells a second delivery of a notice. */
  id: string
  event: 'began' | 'ended'
  kind: AlertKind
  /** Null: it is about no job in particular. */
  job: string | null
  /** Of the error, where dead letters are told apart by it. */
  code: string | null
  /** In a sentence, for people. */
  text: string
  /** ISO 8601 in UTC, by the database's clock. */
  startedAt: string
  /** Null while it goes on. */
  endedAt: string | null
  /** Numbers and instants that were known when it began. Never payloads or messages. */
  facts: AlertFacts
  /** Where the console shows it; null where nobody has said where the console is. */
  url: string | null
}

export type AlertFacts = Readonly<Record<string, string | number>>

/** Where notices go. */
export interface AlertChannel {
  /** Of letters, figures, `-` and `_`; processes that send into the same channel give it the same name. */
  readonly name: string
  /**
   * Resolves once the notice has been taken. Where it rejects, or goes on after the signal was aborted, it is called again
   * later: what it does has to bear being done twice.
   */
  send(notice: AlertNotice, signal: AbortSignal): Promise<void>
}

/** Of an alert, without what its row knows. */
export interface AlertSubject {
  kind: AlertKind
  /** Empty: it is about no job in particular. */
  name: string
  /** Empty where nothing is told apart by a code. */
  code: string
}

/** What is wrong at this moment. */
export interface AlertCause extends AlertSubject {
  facts: AlertFacts
  /** For how long it has to go on before anybody is told. */
  afterMs: number
}

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
    text:
      event === 'began' ? inWords(kind, name, code, facts) : `Over: ${whatWas(kind, name, code)}`,
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
      return 'No worker lives: nothing is scheduled or done'
    case 'late':
      return `${name} is late: a tick was due at ${facts['since']}, and no worker has decided it`
    case 'unscheduled':
      return `${name} is scheduled by no worker: those that live are of another version`
    case 'overrunning':
      return `${name} overruns: a run that started at ${facts['since']} goes on beyond its time-out`
    case 'failing':
      return `${name} fails: ${facts['failed']} of its last ${facts['runs']} runs`
    case 'deadLetter':
      return `${name} has given work up with ${code}: ${facts['count']} dead ${facts['count'] === 1 ? 'letter' : 'letters'}`
    case 'queueGrowing':
      return `${name} falls behind: ${facts['waiting']} pieces of work wait, ${facts['waitingBefore']} did before`
    default:
      return kind satisfies never
  }
}

function whatWas(kind: AlertKind, name: string, code: string): string {
  switch (kind) {
    case 'noWorker':
      return 'a worker lives again'
    case 'late':
      return `${name} is not late any more`
    case 'unscheduled':
      return `${name} is scheduled again`
    case 'overrunning':
      return `${name} does not overrun any more`
    case 'failing':
      return `${name} does not fail any more`
    case 'deadLetter':
      return `${name} has no dead letters with ${code} any more`
    case 'queueGrowing':
      return `${name} is catching up`
    default:
      return kind satisfies never
  }
}

function placeOf(kind: AlertKind, name: string): string {
  if (kind === 'deadLetter') return '/queue'
  return name === '' ? '/' : `/jobs/${encodeURIComponent(name)}`
}
