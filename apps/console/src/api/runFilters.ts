import type { RunOutcome, RunStatus, RunTrigger } from '@roundsman/admin/contract'
import { RUN_TRIGGERS } from './run.ts'
import { RUN_OUTCOMES } from './runOutcome.ts'
import { isKnown } from '../time/readInstant.ts'

/** The filters of the list of runs, as the address has them. */
export interface RunFilters {
  name?: string | undefined
  outcome?: RunOutcome | undefined
  /** Read from an address only as `failed`: all that ended without success. */
  status?: RunStatus | undefined
  errorCode?: string | undefined
  trigger?: RunTrigger | undefined
  /** All attempts at this piece of work. */
  workId?: string | undefined
  /** Started at this instant or later; ISO 8601 in UTC. */
  from?: string | undefined
  /** Started before this instant. */
  to?: string | undefined
  /** The label of a run, or a part of labels. */
  label?: string | undefined
  /** The beginning of its worker's id. */
  worker?: string | undefined
  /** The key of its work. */
  key?: string | undefined
  /** Digits. */
  minDurationMs?: string | undefined
  maxDurationMs?: string | undefined
}

export interface RunSearch extends RunFilters {
  /** Where the page begins; without it at the newest run. */
  cursor?: string | undefined
}

const MAX_NAME_LENGTH = 100
const MAX_TEXT_LENGTH = 200

/**
 * Reads the filters from an address. It drops what is no filter, so that a mistyped address shows runs and no error.
 */
export function parseRunSearch(search: Record<string, unknown>): RunSearch {
  const from = instant(search['from'])
  const to = instant(search['to'])
  const minDurationMs = ms(search['minDurationMs'])
  const maxDurationMs = ms(search['maxDurationMs'])
  // An outcome implies a status, unless it is a failure.
  const { status } = search
  const outcome = RUN_OUTCOMES.find((one) => one === search['outcome'])
  const narrowed =
    outcome ?? (status === 'failed' ? undefined : RUN_OUTCOMES.find((one) => one === status))
  return withoutEmpty({
    // Somebody who types an address may well write `job`.
    name: readText(search['name'] ?? search['job'], MAX_NAME_LENGTH),
    outcome: narrowed,
    status: narrowed === undefined && status === 'failed' ? ('failed' as const) : undefined,
    errorCode: readText(search['errorCode'], MAX_NAME_LENGTH),
    trigger: RUN_TRIGGERS.find((trigger) => trigger === search['trigger']),
    workId: uuid(search['workId']),
    from,
    // The server refuses an empty span.
    to: from !== undefined && to !== undefined && to <= from ? undefined : to,
    label: readText(search['label']),
    worker: readText(search['worker']),
    key: readText(search['key']),
    minDurationMs,
    maxDurationMs: Number(maxDurationMs) < Number(minDurationMs ?? 0) ? undefined : maxDurationMs,
    cursor: readText(search['cursor']),
  })
}

/** Writes `?name=…&outcome=…`, or an empty text without filters. */
export function runQuery(search: RunSearch, more: Record<string, string> = {}): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries({ ...search, ...more })) {
    if (value !== undefined && value !== '') query.set(key, value)
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

/** Whether the list is narrowed at all. */
export function hasFilters(search: RunSearch): boolean {
  return Object.entries(search).some(([key, value]) => key !== 'cursor' && value !== undefined)
}

/** Reads a text from an address: undefined for none, for a blank one, and for one that the server would refuse. */
export function readText(value: unknown, maxLength = MAX_TEXT_LENGTH): string | undefined {
  return typeof value === 'string' &&
    value.length <= maxLength &&
    value.trim() !== '' &&
    !value.includes('\0') &&
    value.isWellFormed()
    ? value
    : undefined
}

function uuid(value: unknown): string | undefined {
  const pattern = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i
  return typeof value === 'string' && pattern.test(value) ? value.toLowerCase() : undefined
}

function ms(value: unknown): string | undefined {
  return typeof value === 'string' && /^\d{1,12}$/.test(value) ? String(Number(value)) : undefined
}

function instant(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  // A date alone is a day in UTC. A date with a time needs a zone: JavaScript would read it by the viewer's clock.
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(value)) {
    return undefined
  }
  const date = new Date(value)
  return isKnown(date) ? date.toISOString() : undefined
}

function withoutEmpty<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T
}
