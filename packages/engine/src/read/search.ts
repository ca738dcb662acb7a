import { storableText } from '../values/storableText.ts'
import { boundedText, thrownOf } from './bounded.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

/** A run that a search found. */
export interface RunMatch {
  id: string
  name: string
  outcome: RunOutcome
  /** ISO 8601 in UTC. */
  startedAt: string
}

/** Failed runs with the same code, found by the code, the class and frame of the error, or its message. */
export interface ErrorMatch {
  code: string
  /** The number of runs that failed with it, up to 1,000. */
  count: number
  /** Whether there are more. */
  isCut: boolean
  /** The class and the first frame of the last error found; empty if unknown. */
  thrown: string
  /** Its message. Null for people who may not see messages. */
  message: string | null
  lastAt: string
}

/** A label, and the last run that has it. */
export interface LabelMatch {
  label: string
  run: RunMatch
}

export interface Matches {
  /** Labels that begin with the text, of all runs, or that contain it, of the last runs. */
  labels: LabelMatch[]
  /** Runs whose own id, or whose work's id, begins with the text. */
  runs: RunMatch[]
  errors: ErrorMatch[]
  /** Ids of workers that contain the text. */
  workers: string[]
  /** Whether the search skipped the labels or errors of some runs. */
  isCut: boolean
}

/** Matches of each kind. */
const MAX_MATCHES = 5
/** Maximum of the last failed runs whose errors are searched, and of counted runs with a code. */
const MAX_FAILED = 1_000
/** Maximum of the last runs whose labels are searched for the text. */
const MAX_LABELLED = 10_000
/** Maximum of runs to read whose labels begin with the text. */
const MAX_BEGUN = 200
/** Maximum of the last ended workers to search. */
const MAX_FORMER = 1_000
/** Errors in larger details are not searched. */
const MAX_DETAILS_BYTES = 8_192
/** A shorter beginning of an id would match too many runs. */
const MIN_ID_DIGITS = 6

/**
 * Searches runs, labels, errors and workers, ignoring case. It accepts any text, and is bounded for any number of runs. Without
 * `messages` it does not search the messages of errors.
 */
export async function searchRuns(
  reader: JobsReader,
  text: string,
  { messages = false }: { messages?: boolean | undefined } = {},
): Promise<Matches> {
  const wanted = storableText(text).trim()
  if (wanted === '') return { labels: [], runs: [], errors: [], workers: [], isCut: false }
  const [labels, runs, errors, workers, [searched]] = await Promise.all([
    findByLabel(reader, wanted),
    findByIds(reader, wanted),
    reader.rows<ErrorMatch>({ text: ERRORS_SQL, values: [wanted, messages] }),
    reader.rows<{ id: string }>({ text: WORKERS_SQL, values: [wanted] }),
    reader.rows<{ isCut: boolean }>({ text: IS_CUT_SQL }),
  ])
  const isCut = searched?.isCut ?? false
  return { labels, runs, errors, workers: workers.map(({ id }) => id), isCut }
}

const contains = (sql: string) => `strpos(lower(${sql}), lower($1::text)) > 0`

const FAILED = `
  select run."errorCode" as code, run."startedAt" as at,
         case when pg_column_size(run."details") <= ${MAX_DETAILS_BYTES} then ${thrownOf('run."details"')} end as thrown,
         case when pg_column_size(run."details") <= ${MAX_DETAILS_BYTES} and $2::boolean
           then ${boundedText(`run."details" #>> '{error,message}'`)} end as message
  from "JobRun" run where run."errorCode" is not null`

/** The codes of the last failed runs that match, and the text itself if any run has it as its code. */
const ERRORS_SQL = `
  select ${boundedText('found.code')} as "code", coalesce(found."thrown", '') as "thrown", found."message", found."lastAt", least(of.count, ${MAX_FAILED})::int as "count",
         of.count > ${MAX_FAILED} as "isCut"
  from (
    select code, (array_agg(thrown order by at desc))[1] as "thrown", (array_agg(message order by at desc))[1] as "message", max(at) as "lastAt"
    from (
      select * from (
        ${FAILED} order by run."startedAt" desc, run."id" desc limit ${MAX_FAILED}
      ) failed where ${contains('code')} or ${contains('thrown')} or ${contains('message')}
      union all (${FAILED} and run."errorCode" = $1::text order by run."startedAt" desc, run."id" desc limit 1)
    ) failed
    group by code order by max(at) desc limit ${MAX_MATCHES}
  ) found cross join lateral (
    select count(*) as count from (
      select from "JobRun" run where run."errorCode" = found.code limit ${MAX_FAILED + 1}
    ) one
  ) of
  order by found."lastAt" desc`

const isMoreThan = (most: number, where: string) =>
  `exists (select from "JobRun" run where ${where} order by run."startedAt" desc, run."id" desc offset ${most} limit 1)`
const IS_CUT_SQL = `
  select ${isMoreThan(MAX_FAILED, `run."errorCode" is not null`)} or ${isMoreThan(MAX_LABELLED, 'true')} as "isCut"`

/** Ended workers come after all living ones. */
const WORKERS_SQL = `
  select "id" from (
    select "id", "startedAt", true as "isListed" from "JobWorker"
    union all (
      select "id", "startedAt", false from "JobFormerWorker" former
      where not exists (select from "JobWorker" worker where worker."id" = former."id")
      order by "endedAt" desc limit ${MAX_FORMER}
    )
  ) worker where ${contains('worker."id"')}
  order by worker."isListed" desc, worker."startedAt" desc limit ${MAX_MATCHES}`

async function findByLabel(reader: JobsReader, text: string): Promise<LabelMatch[]> {
  const rows = await reader.rows<RunMatch & { label: string }>({
    text: LABELS_SQL,
    values: [text, `${text.replaceAll(/[\\%_]/g, '\\$&')}%`],
  })
  return rows.map(({ label, ...run }) => ({ label, run }))
}

const LABELLED = `run."label", run."id", run."name", ${outcomeOf('run.')} as "outcome", run."startedAt"`

/** The first labels in the order of the index, which is not the order of the database's language. */
const LABELS_SQL = `
  select ${boundedText('label')} as "label", "id", "name", "outcome", "startedAt"
  from (
    select distinct on (label) run.* from (
      (
        select ${LABELLED} from "JobRun" run where run."label" like $2::text
        order by run."label" using ~<~, run."startedAt" desc, run."id" desc limit ${MAX_BEGUN}
      ) union all (
        select run.* from (
          select ${LABELLED} from "JobRun" run order by run."startedAt" desc, run."id" desc limit ${MAX_LABELLED}
        ) run where ${contains('run."label"')}
      )
    ) run
    order by label, run."startedAt" desc
  ) labelled
  order by "startedAt" desc limit ${MAX_MATCHES}`

async function findByIds(reader: JobsReader, text: string): Promise<RunMatch[]> {
  const digits = text.toLowerCase().replaceAll('-', '')
  if (digits.length < MIN_ID_DIGITS || !/^[0-9a-f]{1,32}$/.test(digits)) return []
  return await reader.rows<RunMatch>({
    text: RUNS_SQL,
    values: [digits.padEnd(32, '0'), digits.padEnd(32, 'f')],
  })
}

/** Each id has its own index. A run with the id of its work is found by both. */
const RUNS_SQL = `
  select distinct on (run."startedAt", run."id") run.* from (
    (${byId('id')}) union all (${byId('workId')})
  ) run
  order by run."startedAt" desc, run."id" desc limit ${MAX_MATCHES}`

function byId(column: 'id' | 'workId'): string {
  return `
    select run."id", run."name", ${outcomeOf('run.')} as "outcome", run."startedAt"
    from "JobRunAll" run where run."${column}" between $1::uuid and $2::uuid
    order by run."${column}" desc limit ${MAX_MATCHES}`
}
