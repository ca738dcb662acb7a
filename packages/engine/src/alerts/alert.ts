import { readableLine } from '../values/storableText.ts'
import type { ProblemKind } from '../judge/problem.ts'

export type AlertKind = ProblemKind

/** Something is wrong (`began`), or no longer is (`ended`). A webhook gets this as JSON. */
export interface AlertNotice {
  version: 1
  /** The same for the beginning and the end of an alert. A notice with the same id and event is a repeated delivery. */
  id: string
  event: 'began' | 'ended'
  kind: AlertKind
  /** The job that is most affected; null when it is about no job in particular. */
  job: string | null
  /** The error code that most failures have; else null. */
  code: string | null
  /** A sentence or two for people, true when it began. */
  text: string
  /** ISO 8601 in UTC, by the database's clock. */
  startedAt: string
  /** Null in a notice that it began. */
  endedAt: string | null
  /** What the problem has beside its texts when the alert was raised, with the names of all `jobs`. Never payloads or messages. */
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
  /** The name of a limit that is exceeded; empty of other kinds. */
  code: string
}

/** Something that is wrong at this moment. */
export interface AlertCause extends AlertSubject {
  facts: AlertFacts
  /** Null: it begins no alert, and one that was raised goes on. Else how long it has to go on before channels are told. */
  afterMs: number | null
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
  { id, kind, name, facts, startedAt, endedAt }: AlertRow,
  event: AlertNotice['event'],
  consoleUrl: string | undefined,
): AlertNotice {
  const { text = kind, ...rest } = facts
  const over =
    kind === 'deadLetters'
      ? `Over: ${String(facts['jobs'])} has no dead letters any more, or no new ones for a day.`
      : `Resolved: ${text}`
  return {
    version: 1,
    id,
    event,
    kind,
    job: name === '' ? null : name,
    code: typeof facts['code'] === 'string' ? facts['code'] : null,
    // On one line, as a subject: of codes, earlier versions and others may have written any.
    text: readableLine(event === 'began' ? String(text) : over),
    startedAt,
    endedAt: event === 'began' ? null : endedAt,
    facts: rest,
    url:
      consoleUrl === undefined ? null : `${consoleUrl.replace(/\/+$/, '')}${placeOf(kind, name)}`,
  }
}

function placeOf(kind: AlertKind, name: string): string {
  if (name === '') return '/'
  const job = encodeURIComponent(name)
  const ofDeadLetters = kind === 'deadLetters' || kind === 'keyBlocked'
  return ofDeadLetters ? `/dead-letters?name=${job}` : `/jobs/${job}`
}
