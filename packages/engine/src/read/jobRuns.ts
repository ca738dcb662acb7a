import type { JobTrigger, JsonValue } from '../index.ts'
import type { Shown } from '../job/labelWork.ts'
import { boundedJson, boundedText } from './bounded.ts'
import type { PagePosition, Reader, Statement } from './reader.ts'

export const RUN_STATUSES = ['running', 'success', 'failed'] as const
export type RunStatus = (typeof RUN_STATUSES)[number]

export interface ListJobRunsOptions {
  /** Runs at most; positive. */
  limit: number
  /** Only runs that come after this one, that is older ones. */
  after?: PagePosition | undefined
  name?: string | undefined
  status?: RunStatus | undefined
  trigger?: JobTrigger | undefined
  /** Only the attempts at this piece of work; a UUID. */
  queueJobId?: string | undefined
  /** Started at this instant or later. */
  from?: Date | undefined
  /** Started before this instant. */
  to?: Date | undefined
}

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
  /** Null of a run that has not failed. */
  errorCode: string | null
  /** What it has logged: the last lines, and how many came before them; null where nothing was kept. */
  logs: unknown
}

export interface RunAttempt extends Pick<
  ListedJobRun,
  'id' | 'attempt' | 'status' | 'startedAt' | 'endedAt'
> {
  /** Null where that was when its work was enqueued. */
  dueAt: string | null
  errorCode: string | null
}

export interface JobRunPage {
  runs: ListedJobRun[]
  /** The last of them, after which the next page begins; null when there is nothing more. */
  next: PagePosition | null
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
  run."id", ${textColumn('name')}, ${textColumn('label')}, run."status", run."trigger", run."attempt", run."scheduledFor", run."startedAt",
  run."endedAt",
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
  ${boundedJson('run."shown"', SHOWN_BYTES)} as "shown", run."dueAt", ${textColumn('errorCode')},
  ${boundedJson('run."logs"', LOGS_BYTES)} as "logs"`

/**
 * Runs, newest first. Pages are cut at a run, not at a count, so that runs which start while
 * somebody reads neither shift a page nor slow a late one down.
 */
export async function listJobRuns(
  reader: Reader,
  options: ListJobRunsOptions,
): Promise<JobRunPage> {
  // One row more than asked for tells whether there is a next page.
  const rows = await reader.rows<ListedJobRun>(jobRunsQuery(options))
  const runs = rows.slice(0, options.limit)
  for (const run of runs) boundDepth(run)
  const last = rows.length > runs.length ? runs.at(-1) : undefined
  return { runs, next: last ? { at: last.startedAt, id: last.id } : null }
}

export async function findJobRun(reader: Reader, id: string): Promise<FoundJobRun | null> {
  const [run] = await reader.rows<FoundJobRun>({
    text: `select ${FOUND_COLUMNS} from "JobRunAll" run where run."id" = $1::uuid`,
    values: [id],
  })
  if (run) boundDepth(run)
  return run ?? null
}

/** The other runs of the same piece of work, in their order. */
export async function listOtherAttempts(
  reader: Reader,
  { id, queueJobId }: Pick<ListedJobRun, 'id' | 'queueJobId'>,
): Promise<RunAttempt[]> {
  if (queueJobId === null) return []
  return await reader.rows<RunAttempt>({
    text: `
      select "id", "attempt", "status", "startedAt", "endedAt", "dueAt", ${boundedText('"errorCode"')} as "errorCode"
      from "JobRun"
      where "queueJobId" = $1::uuid and "id" <> $2::uuid
      order by "attempt", "startedAt" limit ${MAX_ATTEMPTS}`,
    values: [queueJobId, id],
  })
}

function boundDepth(run: ListedJobRun): void {
  if (isDeep(run.details)) run.details = { detailsTooDeep: true }
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

/** What `listJobRuns` sends; apart, so that its plan can be looked at. */
export function jobRunsQuery(options: ListJobRunsOptions): Statement {
  const { limit, after, name, status, trigger, queueJobId, from, to } = options
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  // Instants are sent as text with their offset: the driver would send a Date without one, and the
  // session's time zone would be taken for it.
  const conditions = [
    // A row comparison is what lets the index begin there; the same with OR would read up to it.
    after &&
      `(run."startedAt", run."id") < (${parameter(after.at)}::timestamptz, ${parameter(after.id)}::uuid)`,
    from && `run."startedAt" >= ${parameter(from.toISOString())}::timestamptz`,
    to && `run."startedAt" < ${parameter(to.toISOString())}::timestamptz`,
    name !== undefined && `run."name" = ${parameter(name)}`,
    status && hasStatus(status),
    queueJobId !== undefined && `run."queueJobId" = ${parameter(queueJobId)}::uuid`,
    trigger && hasTrigger(trigger),
  ].filter((condition) => typeof condition === 'string')
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
  return {
    text: `
      select ${LISTED_COLUMNS}
      from ${mayBeUnwritten(options) ? '"JobRunAll"' : '"JobRun"'} run ${where}
      order by run."startedAt" desc, run."id" desc
      limit ${limit + 1}`,
    values,
  }
}

/** Only what the queue delivers starts without being written. */
function mayBeUnwritten({ status = 'running', trigger = 'queue' }: ListJobRunsOptions): boolean {
  return status === 'running' && trigger === 'queue'
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
