import { readableLine } from '../values/storableText.ts'
import type { ProblemKind } from '../judge/problem.ts'

export type AlertKind = ProblemKind

/** A notice that a problem has begun (`began`) or is over (`ended`). A webhook gets this as JSON. */
export interface AlertNotice {
  version: 1
  /** The same at the beginning and the end of an alert. A notice with the same id and event is a repeated delivery. */
  id: string
  event: 'began' | 'ended'
  kind: AlertKind
  /** The most affected job. Null if the alert concerns no single job. */
  job: string | null
  /** The most frequent error code. Null if there is none. */
  code: string | null
  /** A sentence or two for people, true when it began. */
  text: string
  /** ISO 8601 in UTC, by the database's clock. */
  startedAt: string
  /** Null in a notice that it began. */
  endedAt: string | null
  /**
   * The problem's data, without its texts, when the alert was raised, with the names of all `jobs`. Never payloads or messages.
   */
  facts: AlertFacts
  /** The console's page about it. Null without `consoleUrl`. */
  url: string | null
}

export type AlertFacts = Readonly<Record<string, string | number>>

/** A way to send notices to people. */
export interface AlertChannel {
  /** Letters, digits, `-` and `_`, at most 100. Processes that send into the same channel give it the same name. */
  readonly name: string
  /**
   * Sends a notice, and resolves once the receiver has it. If it rejects, or continues after the signal is aborted, a watcher
   * calls it again later, so it may send a notice twice.
   */
  send(notice: AlertNotice, signal: AbortSignal): Promise<void>
}

/** The subject of an alert. At most one alert is open for each subject. */
export interface AlertSubject {
  kind: AlertKind
  /** The job's name. Empty if the alert concerns no single job. */
  name: string
  /** The name of an exceeded limit. Empty for other kinds. */
  code: string
}

/** A problem at this moment. */
export interface AlertCause extends AlertSubject {
  facts: AlertFacts
  /** The minimum duration before channels are notified. Null if the cause begins no alert, but keeps an existing one open. */
  afterMs: number | null
}

/** The subject as one text, to compare causes with open alerts. */
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

/** The notice about an alert: a sentence made of its facts, and the console's page about it. */
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
    // On one line, for a subject. Codes in stored rows may contain anything.
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
