import type { RunOutcome, RunStatus, RunTrigger } from '@roundsman/fastify/contract'
import { RUN_TRIGGERS } from './run.ts'
import { RUN_OUTCOMES } from './runOutcome.ts'

/** What the list of runs is narrowed to, as it stands in the address. */
export interface RunFilters {
  name?: string | undefined
  outcome?: RunOutcome | undefined
  /** As read from an address, `failed` alone: whatever has ended without success. */
  status?: RunStatus | undefined
  errorCode?: string | undefined
  trigger?: RunTrigger | undefined
  /** All attempts at this piece of work. */
  queueJobId?: string | undefined
  /** Started at this instant or later; ISO 8601 in UTC. */
  from?: string | undefined
  /** Started before this instant. */
  to?: string | undefined
  /** The label of a run, or a part of labels. */
  label?: string | undefined
  /** How the id of its worker begins. */
  worker?: string | undefined
  /** Digits. */
  minDurationMs?: string | undefined
  maxDurationMs?: string | undefined
}

export interface RunSearch extends RunFilters {
  /** Where the page begins; the newest runs without it. */
  cursor?: string | undefined
}

const MAX_NAME_LENGTH = 100
const MAX_LABEL_LENGTH = 200
const MAX_WORKER_LENGTH = 200
const MAX_CURSOR_LENGTH = 200

/** Drops what the list cannot be narrowed to, so that a mistyped address shows runs instead of an error. */
export function parseRunSearch(search: Record<string, unknown>): RunSearch {
  const from = instant(search['from'])
  const to = instant(search['to'])
  const minDurationMs = ms(search['minDurationMs'])
  const maxDurationMs = ms(search['maxDurationMs'])
  // What has an outcome has it as its status, too, as long as it has not failed.
  const { status } = search
  const outcome = RUN_OUTCOMES.find((one) => one === search['outcome'])
  const narrowed =
    outcome ?? (status === 'failed' ? undefined : RUN_OUTCOMES.find((one) => one === status))
  return withoutEmpty({
    name: string(search['name'], MAX_NAME_LENGTH),
    outcome: narrowed,
    status: narrowed === undefined && status === 'failed' ? ('failed' as const) : undefined,
    errorCode: string(search['errorCode'], MAX_NAME_LENGTH),
    trigger: RUN_TRIGGERS.find((trigger) => trigger === search['trigger']),
    queueJobId: uuid(search['queueJobId']),
    from,
    // The server refuses a span without an instant in it.
    to: from !== undefined && to !== undefined && to <= from ? undefined : to,
    label: string(search['label'], MAX_LABEL_LENGTH),
    worker: string(search['worker'], MAX_WORKER_LENGTH),
    minDurationMs,
    maxDurationMs: Number(maxDurationMs) < Number(minDurationMs ?? 0) ? undefined : maxDurationMs,
    cursor: string(search['cursor'], MAX_CURSOR_LENGTH),
  })
}

/** `?name=…&outcome=…`, or an empty text when nothing is narrowed. */
export function runQuery(search: RunSearch, more: Record<string, string> = {}): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries({ ...search, ...more })) {
    if (value !== undefined && value !== '') query.set(key, value)
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

export function hasFilters(search: RunSearch): boolean {
  return Object.entries(search).some(([key, value]) => key !== 'cursor' && value !== undefined)
}

function string(value: unknown, maxLength: number): string | undefined {
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
  // A date alone is a day in UTC; without a zone a date with a time would be read on the viewer's clock.
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(value)) {
    return undefined
  }
  const date = new Date(value)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

function withoutEmpty<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T
}
