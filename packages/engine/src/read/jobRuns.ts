import type { JobTrigger, JsonValue } from '../index.ts'
import type { Shown } from '../job/labelWork.ts'
import { boundedJson, boundedText } from './bounded.ts'
import type { PagePosition, Reader, Statement } from './reader.ts'
import { hasFailedAs, runOutcome, type RunOutcome } from './runOutcome.ts'

export const RUN_STATUSES = ['running', 'success', 'failed'] as const
export type RunStatus = (typeof RUN_STATUSES)[number]

export interface ListJobRunsOptions {
  /** Runs at most; positive. */
  limit: number
  /** Only runs that come after this one, that is older ones. */
  after?: PagePosition | undefined
  name?: string | undefined
  status?: RunStatus | undefined
  outcome?: RunOutcome | undefined
  trigger?: JobTrigger | undefined
  /** Only those that failed with this code. */
  errorCode?: string | undefined
  /** Only the attempts at this piece of work; a UUID. */
  queueJobId?: string | undefined
  /** Started at this instant or later. */
  from?: Date | undefined
  /** Started before this instant. */
  to?: Date | undefined
  /** Where a run has just this label, those with it; else those whose label holds it, in whichever case, see below. */
  label?: string | undefined
  /*
   * What follows is in no index: MAX_LOOKED_AT runs are looked through for it at a time, and the next page goes on where that
   * ended.
   */
  /** Only those whose worker's id begins so. */
  worker?: string | undefined
  /** Only those that took so long or longer; of one under way, so far. */
  minDurationMs?: number | undefined
  /** Only those that have ended, and took no longer. */
  maxDurationMs?: number | undefined
}

/**
 * How many runs are looked through for what no index tells: as many as take well below a second, also where they have to
 * come from a disk.
 */
export const MAX_LOOKED_AT = 50_000

/**
 * A run as it is listed: without what only one who looks at a single run wants to know, and without what its details
 * say as well. Instants are ISO 8601 in UTC.
 */
export interface ListedJobRun {
  id: string
  name: string
  /** What it was about, as its job says it; null when that says nothing. */
  label: string | null
  status: RunStatus
  outcome: RunOutcome
  /** Null unless it failed. */
  errorCode: string | null
  trigger: JobTrigger
  /** 1 for the first delivery. */
  attempt: number
  /** The instant that the schedule named. */
  scheduledFor: string | null
  startedAt: string
  endedAt: string | null
  details: JsonValue | null
  dryRun: boolean
  actor: string | null
  reason: string | null
  queueJobId: string | null
  workerId: string
  progress: unknown
  cancelRequestedAt: string | null
  cancelRequestedBy: string | null
  approvedAt: string | null
  approvedBy: string | null
  createdAt: string
}

export interface FoundJobRun extends ListedJobRun {
  batchMarks: unknown
  /** Of its payload, what its job shows. */
  shown: Shown | null
  /** When the attempt was due; null where that was when its work was enqueued. */
  dueAt: string | null
  /** What it has logged: the last lines, and how many came before them; null where nothing was kept. */
  logs: unknown
}

export interface RunAttempt extends Pick<
  ListedJobRun,
  'id' | 'attempt' | 'status' | 'outcome' | 'startedAt' | 'endedAt'
> {
  /** Null where that was when its work was enqueued. */
  dueAt: string | null
  errorCode: string | null
}

export interface JobRunPage {
  runs: ListedJobRun[]
  /** Where the next page begins: after the last of them, or where looking for more of them ended; null at the end of all. */
  next: PagePosition | null
  /** Whether there may be more for this page, which it takes a further look to find. */
  isCut: boolean
}

/** Twice what workers take as a rule, as JSON that PostgreSQL writes with spaces. A page has 200 runs at most. */
const LISTED_DETAILS_BYTES = 128 * 1024
const FOUND_DETAILS_BYTES = 1024 * 1024
const MARKS_BYTES = 64 * 1024
const PROGRESS_BYTES = 1_000
const SHOWN_BYTES = 32 * 1024
const LOGS_BYTES = 1024 * 1024
/** As deep as nobody reads; JavaScript fails to write what PostgreSQL can hold. */
const MAX_DEPTH = 100
/** Far more than the queue delivers one piece of work. */
const MAX_ATTEMPTS = 100

/** How far a run says it is; null where that is larger than a worker writes it. */
export const progressOf = (run: string) => boundedJson(`${run}."progress"`, PROGRESS_BYTES)

const textColumn = (name: string) => `${boundedText(`run."${name}"`)} as "${name}"`

/** Bounded by the database, so that neither its answer nor this process holds what nobody can read. */
const columns = (detailsBytes: number) => `
  run."id", ${textColumn('name')}, ${textColumn('label')}, run."status", ${textColumn('errorCode')}, run."trigger",
  run."attempt", run."scheduledFor", run."startedAt", run."endedAt",
  coalesce(${boundedJson('run."details"', detailsBytes)},
    case when run."details" is not null then jsonb_strip_nulls(jsonb_build_object(
      'detailsTooLarge', pg_column_size(run."details"),
      'error', case when run."errorCode" is not null then jsonb_build_object(
        'code', ${boundedText('run."errorCode"')}, 'message', 'The details are too large to be shown'
      ) end
    )) end) as "details",
  run."dryRun", ${textColumn('actor')}, ${textColumn('reason')}, run."queueJobId", ${textColumn('workerId')},
  ${progressOf('run')} as "progress", run."cancelRequestedAt", ${textColumn('cancelRequestedBy')},
  run."approvedAt", ${textColumn('approvedBy')}, run."createdAt"`

const LISTED_COLUMNS = columns(LISTED_DETAILS_BYTES)
const FOUND_COLUMNS = `
  ${columns(FOUND_DETAILS_BYTES)}, ${boundedJson('run."batchMarks"', MARKS_BYTES)} as "batchMarks",
  ${boundedJson('run."shown"', SHOWN_BYTES)} as "shown", run."dueAt",
  ${boundedJson('run."logs"', LOGS_BYTES)} as "logs"`

/**
 * Runs, newest first. Pages are cut at a run, not at a count, so that runs which start while
 * somebody reads neither shift a page nor slow a late one down.
 */
export async function listJobRuns(reader: Reader, asked: ListJobRunsOptions): Promise<JobRunPage> {
  const options = { ...asked, isWholeLabel: await isLabel(reader, asked.label) }
  const end = await findLookEnd(reader, options)
  // One row more than asked for tells whether there is a next page.
  const rows = await reader.rows<RunRow>(jobRunsQuery(options, end))
  const runs = rows.slice(0, options.limit).map(toListed)
  const last = rows.length > runs.length ? runs.at(-1) : undefined
  if (last) return { runs, next: { at: last.startedAt, id: last.id }, isCut: false }
  return { runs, next: end, isCut: end !== null }
}

type RunRow = Omit<ListedJobRun, 'outcome'>

/** A page has many rows, and each is nobody else's: it is added to, not copied. */
function toListed<Row extends RunRow>(row: Row): Row & Pick<ListedJobRun, 'outcome'> {
  if (isDeep(row.details)) row.details = { detailsTooDeep: true }
  return Object.assign(row, { outcome: runOutcome(row) })
}

/** Whether a run has just this label. */
async function isLabel(reader: Reader, label: string | undefined): Promise<boolean> {
  if (label === undefined) return false
  const found = await reader.rows({
    text: `select 1 as "found" from "JobRun" where "label" = $1::text limit 1`,
    values: [label],
  })
  return found.length > 0
}

/** As asked for, and what was found out for it. */
type RunsWanted = ListJobRunsOptions & { isWholeLabel?: boolean }

/** The last run that one look comes to; null where it comes to the end, or an index does without. */
async function findLookEnd(reader: Reader, options: RunsWanted): Promise<PagePosition | null> {
  const statement = lookEndQuery(options)
  if (statement === null) return null
  const [end] = await reader.rows<PagePosition>(statement)
  return end ?? null
}

export async function findJobRun(reader: Reader, id: string): Promise<FoundJobRun | null> {
  const [run] = await reader.rows<Omit<FoundJobRun, 'outcome'>>({
    text: `select ${FOUND_COLUMNS} from "JobRunAll" run where run."id" = $1::uuid`,
    values: [id],
  })
  return run ? toListed(run) : null
}

/** The other runs of the same piece of work, in their order. */
export async function listOtherAttempts(
  reader: Reader,
  { id, queueJobId }: Pick<ListedJobRun, 'id' | 'queueJobId'>,
): Promise<RunAttempt[]> {
  if (queueJobId === null) return []
  const rows = await reader.rows<Omit<RunAttempt, 'outcome'>>({
    text: `
      select "id", "attempt", "status", "startedAt", "endedAt", "dueAt", ${boundedText('"errorCode"')} as "errorCode"
      from "JobRun"
      where "queueJobId" = $1::uuid and "id" <> $2::uuid
      order by "attempt", "startedAt" limit ${MAX_ATTEMPTS}`,
    values: [queueJobId, id],
  })
  return rows.map((run) => ({ ...run, outcome: runOutcome(run) }))
}

/** Without a call for each level, of which there may be more than the stack holds. */
function isDeep(value: unknown): boolean {
  let level = [value]
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? Object.values(each).filter(isObject) : [],
    )
    if (level.length === 0) return false
  }
  return true
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null

/** What `listJobRuns` sends, down to where its look ends; apart, so that its plan can be looked at. */
export function jobRunsQuery(options: RunsWanted, lookEnd: PagePosition | null = null): Statement {
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const where = [
    ...indexedConditions(options, parameter),
    ...lookedConditions(options, parameter),
    ...(lookEnd === null ? [] : [comesAfter('>=', lookEnd, parameter)]),
  ]
  return {
    text: `
      select ${LISTED_COLUMNS}
      from ${mayBeUnwritten(options) ? '"JobRunAll"' : '"JobRun"'} run ${whereAll(where)}
      ${NEWEST_FIRST}
      limit ${options.limit + 1}`,
    values,
  }
}

/** Finds the last run that one look comes to, from an index. Null where no look is needed: few runs are under way. */
export function lookEndQuery(options: RunsWanted): Statement | null {
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const { queueJobId, status, outcome } = options
  const areFew = queueJobId !== undefined || status === 'running' || outcome === 'running'
  if (areFew || lookedConditions(options, () => '').length === 0) return null
  return {
    text: `
      select run."startedAt" as "at", run."id" from "JobRun" run ${whereAll(indexedConditions(options, parameter))}
      ${NEWEST_FIRST}
      offset ${MAX_LOOKED_AT - 1} limit 1`,
    values,
  }
}

const NEWEST_FIRST = 'order by run."startedAt" desc, run."id" desc'

const whereAll = (conditions: readonly string[]) =>
  conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''

/** Writes a value down for the statement, and says how that names it. */
type Parameter = (value: unknown) => string

/** A row comparison is what lets the index begin there; the same with OR would read up to it. */
const comesAfter = (sign: '<' | '>=', { at, id }: PagePosition, parameter: Parameter) =>
  `(run."startedAt", run."id") ${sign} (${parameter(at)}::timestamptz, ${parameter(id)}::uuid)`

/** What an index finds. */
function indexedConditions(options: RunsWanted, parameter: Parameter): string[] {
  const { after, name, status, outcome, trigger, errorCode, queueJobId, from, to } = options
  const { label, isWholeLabel = false } = options
  // Instants are sent as text with their offset: the driver would send a Date without one, and the
  // session's time zone would be taken for it.
  return [
    after && comesAfter('<', after, parameter),
    from && `run."startedAt" >= ${parameter(from.toISOString())}::timestamptz`,
    to && `run."startedAt" < ${parameter(to.toISOString())}::timestamptz`,
    name !== undefined && `run."name" = ${parameter(name)}`,
    status && hasStatus(status),
    outcome &&
      (outcome === 'running' || outcome === 'success' ? hasStatus(outcome) : hasFailedAs(outcome)),
    errorCode !== undefined && `run."errorCode" = ${parameter(errorCode)}::text`,
    queueJobId !== undefined && `run."queueJobId" = ${parameter(queueJobId)}::uuid`,
    trigger && hasTrigger(trigger),
    isWholeLabel && label !== undefined && `run."label" = ${parameter(label)}::text`,
  ].filter((condition) => typeof condition === 'string')
}

/** What each run has to be looked at for. */
function lookedConditions(options: RunsWanted, parameter: Parameter): string[] {
  const { label, isWholeLabel = false, worker, minDurationMs, maxDurationMs } = options
  const ms = (value: number) => `${parameter(value)}::float8 * interval '1 millisecond'`
  return [
    label !== undefined &&
      !isWholeLabel &&
      `strpos(lower(run."label"), lower(${parameter(label)}::text)) > 0`,
    worker !== undefined && `starts_with(run."workerId", ${parameter(worker)}::text)`,
    minDurationMs !== undefined &&
      `coalesce(run."endedAt", now()) - run."startedAt" >= ${ms(minDurationMs)}`,
    maxDurationMs !== undefined && `run."endedAt" - run."startedAt" <= ${ms(maxDurationMs)}`,
  ].filter((condition) => typeof condition === 'string')
}

/** Only what the queue delivers starts without being written. */
function mayBeUnwritten(options: ListJobRunsOptions): boolean {
  const { status = 'running', outcome = 'running', trigger = 'queue', errorCode } = options
  return (
    status === 'running' &&
    outcome === 'running' &&
    trigger === 'queue' &&
    errorCode === undefined &&
    options.maxDurationMs === undefined
  )
}

/** Each by what finds it: what runs is listed in what workers hold, what failed has an index of its codes. */
function hasStatus(status: RunStatus): string {
  switch (status) {
    case 'running':
      return `run."status" = 'running' and run."id" = any(array(
        select unnest("runIds") from "JobClaim" union all select unnest("runIds") from "JobStart"
      ))`
    case 'success':
      return `run."status" = 'success'`
    case 'failed':
      return `run."errorCode" is not null`
    default:
      return status satisfies never
  }
}

/** As literals: PostgreSQL uses a partial index only if it sees the value when it plans. */
function hasTrigger(trigger: JobTrigger): string {
  switch (trigger) {
    case 'schedule':
      return `run."trigger" = 'schedule'`
    case 'queue':
      return `run."trigger" = 'queue'`
    case 'manual':
      return `run."trigger" = 'manual'`
    case 'cli':
      return `run."trigger" = 'cli'`
    default:
      return trigger satisfies never
  }
}
