import { boundedJson, boundedText } from './bounded.ts'
import type { DatabaseClient } from './client.ts'
import { Prisma, type JobRun, type JobRunStatus, type JobTrigger } from './generated/client.ts'

export interface ListJobRunsOptions {
  /** Runs at most; positive. */
  limit: number
  /** Only runs that come after this one, that is older ones. */
  after?: RunPosition | undefined
  name?: string | undefined
  status?: JobRunStatus | undefined
  trigger?: JobTrigger | undefined
  /** Only the attempts at this piece of work; a UUID. */
  queueJobId?: string | undefined
  /** Started at this instant or later. */
  from?: Date | undefined
  /** Started before this instant. */
  to?: Date | undefined
}

/**
 * As it is listed: without what only one who looks at a single run wants to know, and without what its details say
 * as well. Instants are ISO 8601 in UTC.
 */
export type ListedJobRun = WithIsoInstants<
  Omit<JobRun, 'batchMarks' | 'errorCode' | 'exclusiveKey'>
>

export type FoundJobRun = ListedJobRun & Pick<JobRun, 'batchMarks'>

type WithIsoInstants<Row> = {
  [Key in keyof Row]: Row[Key] extends Date
    ? string
    : Row[Key] extends Date | null
      ? string | null
      : Row[Key]
}

export interface JobRunPage {
  runs: ListedJobRun[]
  /** The last of them, after which the next page begins; null when there is nothing more. */
  next: RunPosition | null
}

/** A run's place in the order of all: instants are not unique, with the id they are. */
export interface RunPosition {
  /** When it started, as ISO 8601 in UTC. */
  at: string
  id: string
}

/** Twice what workers take as a rule, as JSON that PostgreSQL writes with spaces. A page has 200 runs at most. */
const LISTED_DETAILS_BYTES = 128 * 1024
const FOUND_DETAILS_BYTES = 1024 * 1024
const MARKS_BYTES = 64 * 1024
const PROGRESS_BYTES = 1_000
/** As deep as nobody reads; JavaScript fails to write what PostgreSQL can hold. */
const MAX_DEPTH = 100

const textColumn = (name: string) =>
  Prisma.sql`${boundedText(`"${name}"`)} as ${Prisma.raw(`"${name}"`)}`

/** Bounded by the database, so that neither its answer nor this process holds what nobody can read. */
const columns = (detailsBytes: number) => Prisma.sql`
  "id", ${textColumn('name')}, "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt",
  coalesce(${boundedJson('"details"', detailsBytes)},
    case when "details" is not null then jsonb_strip_nulls(jsonb_build_object(
      'detailsTooLarge', pg_column_size("details"),
      'error', case when "errorCode" is not null then jsonb_build_object(
        'code', ${boundedText('"errorCode"')}, 'message', 'The details are too large to be shown'
      ) end
    )) end) as "details",
  "dryRun", ${textColumn('actor')}, ${textColumn('reason')}, "queueJobId", ${textColumn('workerId')},
  ${boundedJson('"progress"', PROGRESS_BYTES)} as "progress", "cancelRequestedAt", ${textColumn('cancelRequestedBy')},
  "approvedAt", ${textColumn('approvedBy')}, "createdAt"`

const LISTED_COLUMNS = columns(LISTED_DETAILS_BYTES)
const FOUND_COLUMNS = Prisma.sql`
  ${columns(FOUND_DETAILS_BYTES)}, ${boundedJson('"batchMarks"', MARKS_BYTES)} as "batchMarks"`

/**
 * Runs, newest first. Pages are cut at a run, not at a count, so that runs which start while
 * somebody reads neither shift a page nor slow a late one down.
 */
export async function listJobRuns(
  database: Pick<DatabaseClient, 'readRows'>,
  options: ListJobRunsOptions,
): Promise<JobRunPage> {
  // One row more than asked for tells whether there is a next page.
  const rows = await database.readRows<ListedJobRun>(jobRunsQuery(options))
  const runs = rows.slice(0, options.limit)
  for (const run of runs) boundDepth(run)
  const last = rows.length > runs.length ? runs.at(-1) : undefined
  return { runs, next: last ? { at: last.startedAt, id: last.id } : null }
}

export async function findJobRun(
  database: Pick<DatabaseClient, 'readRows'>,
  id: string,
): Promise<FoundJobRun | null> {
  const [run] = await database.readRows<FoundJobRun>(
    Prisma.sql`select ${FOUND_COLUMNS} from "JobRun" where "id" = ${id}::uuid`,
  )
  if (run) boundDepth(run)
  return run ?? null
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
export function jobRunsQuery(options: ListJobRunsOptions): Prisma.Sql {
  const { limit, after, name, status, trigger, queueJobId, from, to } = options
  // Instants are sent as text with their offset: the driver would send a Date without one, and the
  // session's time zone would be taken for it.
  const conditions = [
    // A row comparison is what lets the index begin there; the same with OR would read up to it.
    after && Prisma.sql`("startedAt", "id") < (${after.at}::timestamptz, ${after.id}::uuid)`,
    from && Prisma.sql`"startedAt" >= ${from.toISOString()}::timestamptz`,
    to && Prisma.sql`"startedAt" < ${to.toISOString()}::timestamptz`,
    name !== undefined && Prisma.sql`"name" = ${name}`,
    status && hasStatus(status),
    queueJobId !== undefined && Prisma.sql`"queueJobId" = ${queueJobId}::uuid`,
    trigger && hasTrigger(trigger),
  ].filter((condition) => condition instanceof Prisma.Sql)
  const where =
    conditions.length > 0 ? Prisma.sql`where ${Prisma.join(conditions, ' and ')}` : Prisma.empty
  return Prisma.sql`
    select ${LISTED_COLUMNS}
    from "JobRun" ${where}
    order by "startedAt" desc, "id" desc
    limit ${Prisma.raw(String(limit + 1))}`
}

/** Each by what finds it: what runs is listed in what workers hold, what failed has an index of its codes. */
function hasStatus(status: JobRunStatus): Prisma.Sql {
  switch (status) {
    case 'running':
      return Prisma.sql`"status" = 'running' and "id" = any(array(select unnest("runIds") from "JobClaim"))`
    case 'success':
      return Prisma.sql`"status" = 'success'`
    case 'failed':
      return Prisma.sql`"errorCode" is not null`
    default:
      return status satisfies never
  }
}

/** As literals: PostgreSQL uses a partial index only if it sees the value when it plans. */
function hasTrigger(trigger: JobTrigger): Prisma.Sql {
  switch (trigger) {
    case 'schedule':
      return Prisma.sql`"trigger" = 'schedule'`
    case 'queue':
      return Prisma.sql`"trigger" = 'queue'`
    case 'manual':
      return Prisma.sql`"trigger" = 'manual'`
    case 'cli':
      return Prisma.sql`"trigger" = 'cli'`
    default:
      return trigger satisfies never
  }
}
