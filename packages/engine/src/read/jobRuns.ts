import type { JobTrigger, JsonValue } from '../job/handler.ts'
import { checkIdOf, checkRunQuery, type RUN_STATUSES } from '../arguments/queries.ts'
import { readShown, type Shown } from '../job/labelWork.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { boundedJson, boundedText } from './bounded.ts'
import { versionOf } from './listWorkers.ts'
import type { PagePosition, JobsReader, Statement } from './reader.ts'
import { codeOfOutcome, hasFailedAs, outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

export type RunStatus = (typeof RUN_STATUSES)[number]

export interface ListJobRunsOptions {
  /** Maximum of returned runs, from 1 to 10,000. */
  limit: number
  /** Only runs after this one in the list, which are older. */
  after?: PagePosition | undefined
  name?: string | undefined
  /** `running`, `success` or `failed`. */
  status?: RunStatus | undefined
  /**
   * The reason why a run ended: `failed` by its own fault, otherwise `cancelled`, `blocked`, `expired`, `lost` or `givenBack`.
   */
  outcome?: RunOutcome | undefined
  trigger?: JobTrigger | undefined
  /** Only runs that failed with this code. */
  errorCode?: string | undefined
  /** Only attempts at this piece of work; a UUID. */
  workId?: string | undefined
  /** Started at this instant or later. */
  from?: Date | undefined
  /** Started before this instant. */
  to?: Date | undefined
  /** If any run has exactly this label, only runs with it; otherwise runs whose label contains it, in upper or lower case. */
  label?: string | undefined
  /*
   * The following filters, and a part of a label, have no index: one call searches MAX_LOOKED_AT runs, and the next page
   * continues there.
   */
  /** Only runs whose worker's id begins with this. */
  worker?: string | undefined
  /** Only runs with at least this duration; for a run under way, its time so far counts. */
  minDurationMs?: number | undefined
  /** Only ended runs with at most this duration. */
  maxDurationMs?: number | undefined
  /** Only runs of work with this key; empty: without one. */
  key?: string | undefined
}

/** Maximum of runs that one call searches for filters without an index: that takes well below a second, even from a disk. */
export const MAX_LOOKED_AT = 50_000

/**
 * A run in a list, without the fields that only the page of a single run shows, and without fields that repeat its details.
 * Instants are ISO 8601 in UTC.
 */
export interface ListedJobRun {
  id: string
  name: string
  /** The label of its work. Null if it has none. */
  label: string | null
  status: RunStatus
  outcome: RunOutcome
  /** Null unless it failed. */
  errorCode: string | null
  trigger: JobTrigger
  /** 1 for the first delivery. */
  attempt: number
  /** The tick's instant, if a schedule started it. */
  scheduledFor: string | null
  startedAt: string
  endedAt: string | null
  details: JsonValue | null
  dryRun: boolean
  actor: string | null
  reason: string | null
  workId: string | null
  workerId: string
  /** The version of the product that its worker ran. Null if not given, or not on record. */
  version: string | null
  progress: unknown
  cancelRequestedAt: string | null
  cancelRequestedBy: string | null
  approvedAt: string | null
  approvedBy: string | null
  createdAt: string
}

export interface FoundJobRun extends ListedJobRun {
  batchMarks: unknown
  /** The parts of its payload that the job's `show` names. */
  shown: Shown | null
  /** The instant at which the attempt was due. Null if it was due as soon as its work was enqueued. */
  dueAt: string | null
  /** Its last log lines, and the number of earlier ones. Null if none were kept. */
  logs: unknown
  /** The key of its work. Null if it has none, or the version of the run stored none. */
  key: string | null
  /** The unique key of its work. */
  uniqueKey: string | null
  /** The run whose handler has enqueued its work. */
  parentId: string | null
  /** The origin of its work: the text of `enqueuedBy`. */
  enqueuedBy: string | null
  /** The trace in which its work was enqueued: 32 hexadecimal digits. */
  traceId: string | null
}

export interface RunAttempt extends Pick<
  ListedJobRun,
  'id' | 'attempt' | 'status' | 'outcome' | 'startedAt' | 'endedAt'
> {
  /** Null if it was due as soon as its work was enqueued. */
  dueAt: string | null
  errorCode: string | null
}

export interface JobRunPage {
  runs: ListedJobRun[]
  /** The start of the next page: after the last of these runs, or at the end of the search. Null if there are no more runs. */
  next: PagePosition | null
  /** Whether the search ended before the page was full: the next page may have more. */
  isCut: boolean
}

/** Twice a worker's default limit, because PostgreSQL writes JSON with spaces. A page has at most 200 runs. */
const LISTED_DETAILS_BYTES = 128 * 1024
const FOUND_DETAILS_BYTES = 1024 * 1024
const MARKS_BYTES = 64 * 1024
const PROGRESS_BYTES = 1_000
const SHOWN_BYTES = 32 * 1024
const LOGS_BYTES = 1024 * 1024
/** Details nested deeper are left out: PostgreSQL can store JSON that is too deep for JavaScript to write. */
const MAX_DEPTH = 100
/** Far more attempts than a piece of work usually gets. */
const MAX_ATTEMPTS = 100

/** A run's progress. Null if it is larger than any progress that a worker writes. */
export const progressOf = (run: string) => boundedJson(`${run}."progress"`, PROGRESS_BYTES)

const textColumn = (name: string) => `${boundedText(`run."${name}"`)} as "${name}"`

/** The database bounds each column, so that its answer stays small. */
const columns = (detailsBytes: number) => `
  run."id", ${textColumn('name')}, ${textColumn('label')}, run."status", ${outcomeOf('run.')} as "outcome", ${textColumn('errorCode')}, run."trigger",
  run."attempt", run."scheduledFor", run."startedAt", run."endedAt",
  coalesce(${boundedJson('run."details"', detailsBytes)},
    case when run."details" is not null then jsonb_strip_nulls(jsonb_build_object(
      'detailsTooLarge', pg_column_size(run."details"),
      'error', case when run."errorCode" is not null then jsonb_build_object(
        'code', ${boundedText('run."errorCode"')}, 'message', 'The details are too large to be shown'
      ) end
    )) end) as "details",
  run."dryRun", ${textColumn('actor')}, ${textColumn('reason')}, run."workId", ${textColumn('workerId')},
  ${boundedText(versionOf('run."workerId"'))} as "version", ${progressOf('run')} as "progress", run."cancelRequestedAt", ${textColumn('cancelRequestedBy')},
  run."approvedAt", ${textColumn('approvedBy')}, run."createdAt"`

const LISTED_COLUMNS = columns(LISTED_DETAILS_BYTES)
const FOUND_COLUMNS = `
  ${columns(FOUND_DETAILS_BYTES)}, ${boundedJson('run."batchMarks"', MARKS_BYTES)} as "batchMarks",
  ${boundedJson('run."shown"', SHOWN_BYTES)} as "shown", run."dueAt",
  ${boundedJson('run."logs"', LOGS_BYTES)} as "logs", ${textColumn('key')}, ${textColumn('uniqueKey')}, run."parentId",
  ${textColumn('enqueuedBy')}, ${textColumn('traceId')}`

/**
 * Lists runs, newest first. A page begins after a run instead of an offset: new runs do not shift it, and a late page is as
 * fast as the first.
 */
export async function listJobRuns(
  reader: JobsReader,
  asked: ListJobRunsOptions,
): Promise<JobRunPage> {
  const checked = checkRunQuery(reader, asked)
  const options = { ...checked, isWholeLabel: await isLabel(reader, checked.label) }
  // Without an index for its conditions, a page looks at a bounded number of runs. `end` is the last of them.
  const end = await findLookEnd(reader, options)
  // One row more than requested shows whether there is a next page.
  const rows = await reader.rows<ListedJobRun>(jobRunsQuery(options, end))
  const runs = rows.slice(0, options.limit).map(withoutDeep)
  const last = rows.length > runs.length ? runs.at(-1) : undefined
  if (last) return { runs, next: { at: last.startedAt, id: last.id }, isCut: false }
  return { runs, next: end, isCut: end !== null }
}

/** Changes the row instead of copying it: a page has many rows, and no other code holds them. */
function withoutDeep<Row extends ListedJobRun>(row: Row): Row {
  if (isDeep(row.details)) row.details = { detailsTooDeep: true }
  return row
}

/** Whether any run has exactly this label. */
async function isLabel(reader: JobsReader, label: string | undefined): Promise<boolean> {
  if (label === undefined) return false
  const found = await reader.rows({
    text: `select 1 as "found" from "JobRun" where "label" = $1::text limit 1`,
    values: [label],
  })
  return found.length > 0
}

/** The conditions on `run` of a filter, without a position. */
export async function runConditions(
  reader: JobsReader,
  filter: Omit<ListJobRunsOptions, 'limit' | 'after'>,
  parameter: Parameter,
): Promise<string[]> {
  const options = { ...filter, limit: 0, isWholeLabel: await isLabel(reader, filter.label) }
  return [...indexedConditions(options, parameter), ...lookedConditions(options, parameter)]
}

/** The caller's options, and whether `label` is a whole label. */
type RunsWanted = ListJobRunsOptions & { isWholeLabel?: boolean }

/** Finds the last run of one search. Null if it reaches the end, or an index makes the search unnecessary. */
async function findLookEnd(reader: JobsReader, options: RunsWanted): Promise<PagePosition | null> {
  const statement = lookEndQuery(options)
  if (statement === null) return null
  const [end] = await reader.rows<PagePosition>(statement)
  return end ?? null
}

/** Finds a run by its id, also one that is not written yet. */
export async function getJobRun(reader: JobsReader, id: string): Promise<FoundJobRun | null> {
  const runId = checkIdOf(reader, 'id', id)
  const [run] = await reader.rows<FoundJobRun>({
    text: `select ${FOUND_COLUMNS} from "JobRunAll" run where run."id" = $1::uuid`,
    values: [runId],
  })
  return run ? { ...withoutDeep(run), shown: readShown(run.shown) } : null
}

/** Lists the other runs of the same piece of work, in the order of attempts. */
export async function listOtherAttempts(
  reader: JobsReader,
  { id, workId }: Pick<ListedJobRun, 'id' | 'workId'>,
): Promise<RunAttempt[]> {
  if (workId === null) return []
  return await reader.rows<RunAttempt>({
    text: `
      select "id", "attempt", "status", ${outcomeOf()} as "outcome", "startedAt", "endedAt", "dueAt", ${boundedText('"errorCode"')} as "errorCode"
      from "JobRun"
      where "workId" = $1::uuid and "id" <> $2::uuid
      order by "attempt", "startedAt", "id" limit ${MAX_ATTEMPTS}`,
    values: [workId, id],
  })
}

/** Whether a value is nested deeper than MAX_DEPTH. It is not recursive: the stack may be smaller than the depth. */
function isDeep(value: unknown): boolean {
  if (!isObject(value)) return false
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

/** The statement of `listJobRuns`, down to the end of its search. Exported so that a test can check its plan. */
export function jobRunsQuery(options: RunsWanted, lookEnd: PagePosition | null = null): Statement {
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const where = [
    ...indexedConditions(options, parameter),
    ...lookedConditions(options, parameter),
    ...(lookEnd === null ? [] : comesBeforeEnd(lookEnd, parameter)),
  ]
  return {
    text: `
      select ${LISTED_COLUMNS}
      from ${mayBeUnwritten(options) ? '"JobRunAll"' : '"JobRun"'} run ${whereAll(where)}
      ${newestFirst(options)}
      limit ${options.limit + 1}`,
    values,
  }
}

/** The statement that finds the last run of one search. Null if no search is needed, for example for the few runs under way. */
export function lookEndQuery(options: RunsWanted): Statement | null {
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const { workId, status, outcome } = options
  const areFew = workId !== undefined || status === 'running' || outcome === 'running'
  if (areFew || lookedConditions(options, () => '').length === 0) return null
  return {
    text: `
      select run."startedAt" as "at", run."id" from "JobRun" run ${whereAll(indexedConditions(options, parameter))}
      ${newestFirst(options)}
      offset ${MAX_LOOKED_AT - 1} limit 1`,
    values,
  }
}

/** The column before the time in the index: see equalsInOrder. Null if that is the label, the work or none. */
function listedBy(options: RunsWanted): 'name' | 'errorCode' | null {
  const { name, label, isWholeLabel = false, workId } = options
  if (workId !== undefined || (label !== undefined && isWholeLabel)) return null
  if (codeOf(options) !== null) return 'errorCode'
  return name === undefined ? null : 'name'
}

/** The single code of all matching failed runs. Null without one. */
function codeOf({ errorCode, outcome }: RunsWanted): string | null {
  return errorCode ?? (outcome === undefined ? null : codeOfOutcome(outcome))
}

function newestFirst(options: RunsWanted): string {
  const first = listedBy(options)
  return `order by ${first === null ? '' : `run."${first}", `}run."startedAt" desc, run."id" desc`
}

const whereAll = (conditions: readonly string[]) =>
  conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''

/** Adds a value to the statement's parameters, and returns its placeholder. */
type Parameter = (value: unknown) => string

/** A row comparison lets the index scan begin there; the same condition with OR would read all rows before it. */
const comesAfter = (sign: '<' | '>=', { at, id }: PagePosition, parameter: Parameter) =>
  `(run."startedAt", run."id") ${sign} (${parameter(at)}::timestamptz, ${parameter(id)}::uuid)`

/**
 * The time once more, separately: PostgreSQL does not recognise that two row comparisons bound one span, and would read
 * everything.
 */
const comesBeforeEnd = (end: PagePosition, parameter: Parameter) => [
  comesAfter('>=', end, parameter),
  `run."startedAt" >= ${parameter(end.at)}::timestamptz`,
]

/** The conditions with an index. */
function indexedConditions(options: RunsWanted, parameter: Parameter): string[] {
  const { after, name, status, outcome, trigger, workId, from, to } = options
  const { label, isWholeLabel = false } = options
  const code = codeOf(options)
  const first = listedBy(options)
  const is = (column: 'name' | 'errorCode', value: string) =>
    column === first
      ? equalsInOrder(`run."${column}"`, `${parameter(value)}::text`)
      : `run."${column}" = ${parameter(value)}::text`
  // Send instants as text with their offset: the driver would send a Date without one, and PostgreSQL would read it in the
  // session's time zone.
  return [
    after && comesAfter('<', after, parameter),
    from && `run."startedAt" >= ${parameter(from.toISOString())}::timestamptz`,
    to && `run."startedAt" < ${parameter(to.toISOString())}::timestamptz`,
    name !== undefined && is('name', name),
    status && hasStatus(status),
    outcome && (code === null || codeOfOutcome(outcome) !== code) && hasOutcome(outcome),
    code !== null && is('errorCode', code),
    workId !== undefined && `run."workId" = ${parameter(workId)}::uuid`,
    // A literal: PostgreSQL uses a partial index only if it sees the value when it plans.
    trigger && `run."trigger" = '${trigger}'`,
    isWholeLabel && label !== undefined && `run."label" = ${parameter(label)}::text`,
  ].filter((condition) => typeof condition === 'string')
}

/** The conditions without an index. */
function lookedConditions(options: RunsWanted, parameter: Parameter): string[] {
  const { label, isWholeLabel = false, worker, minDurationMs, maxDurationMs, key } = options
  const ms = (value: number) => `${parameter(value)}::float8 * interval '1 millisecond'`
  return [
    label !== undefined &&
      !isWholeLabel &&
      `strpos(lower(run."label"), lower(${parameter(label)}::text)) > 0`,
    worker !== undefined && `starts_with(run."workerId", ${parameter(worker)}::text)`,
    minDurationMs !== undefined &&
      `coalesce(run."endedAt", now()) - run."startedAt" >= ${ms(minDurationMs)}`,
    maxDurationMs !== undefined && `run."endedAt" - run."startedAt" <= ${ms(maxDurationMs)}`,
    key !== undefined && `run."key" is not distinct from nullif(${parameter(key)}::text, '')`,
  ].filter((condition) => typeof condition === 'string')
}

/** Whether the filters match runs under way, of which JobRun may have no record. */
function mayBeUnwritten(options: ListJobRunsOptions): boolean {
  const { status = 'running', outcome = 'running', errorCode, maxDurationMs } = options
  return (
    status === 'running' &&
    outcome === 'running' &&
    errorCode === undefined &&
    maxDurationMs === undefined
  )
}

/** The condition that finds a status fastest: claims list running runs, and failed runs have an index of their codes. */
function hasStatus(status: RunStatus): string {
  switch (status) {
    case 'running':
      return `run."status" = 'running' and run."id" = any(array(select unnest("runIds") from "JobClaim"))`
    case 'success':
      return `run."status" = 'success'`
    case 'failed':
      return `run."errorCode" is not null`
    case 'suspended':
      return `run."status" = 'suspended'`
    default:
      return status satisfies never
  }
}

function hasOutcome(outcome: RunOutcome): string {
  return outcome === 'running' || outcome === 'success' || outcome === 'suspended'
    ? hasStatus(outcome)
    : hasFailedAs(outcome)
}
