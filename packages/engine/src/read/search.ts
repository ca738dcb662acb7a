import { storableText } from '../job/storableText.ts'
import { boundedText } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { Reader } from './reader.ts'
import { runOutcome, type RunOutcome } from './runOutcome.ts'

/** A run that was searched for. */
export interface RunMatch {
  id: string
  name: string
  outcome: RunOutcome
  /** ISO 8601 in UTC. */
  startedAt: string
}

/** Failed runs with the same code, of which the code or what the error says was searched for. */
export interface ErrorMatch {
  code: string
  /** Of the runs that were looked at. */
  count: number
  /** What the last of them says. */
  message: string
  lastAt: string
}

/** A label, and the last run that has it. */
export interface LabelMatch {
  label: string
  run: RunMatch
}

export interface Matches {
  /** By their beginning, of all runs, or by any part, of the last ones. */
  labels: LabelMatch[]
  /** By the beginning of their own id or of that of their work. */
  runs: RunMatch[]
  errors: ErrorMatch[]
  /** Ids that hold the text. */
  workers: string[]
}

/** As many as one reads, of each kind. */
const MAX_MATCHES = 5
/** Failed runs whose errors are looked at, the last ones. */
const MAX_FAILED = 1_000
/** Runs whose labels are looked at for any part of them, the last ones. */
const MAX_LABELLED = 10_000
/** Of those whose labels begin so. */
const MAX_BEGUN = 200
/** Larger details are not read for what their error says. */
const MAX_DETAILS_BYTES = 8_192
/** Shorter beginnings of an id are those of too many. */
const MIN_ID_DIGITS = 6

/** Whatever the text holds; upper and lower case are the same. Bounded, however many runs there are. */
export async function searchRuns(reader: Reader, text: string): Promise<Matches> {
  const wanted = storableText(text).trim()
  if (wanted === '') return { labels: [], runs: [], errors: [], workers: [] }
  const [labels, runs, errors, workers] = await Promise.all([
    findByLabel(reader, wanted),
    findByIds(reader, wanted),
    reader.rows<ErrorMatch>({ text: ERRORS_SQL, values: [wanted] }),
    reader.rows<{ id: string }>({ text: WORKERS_SQL, values: [wanted] }),
  ])
  return { labels, runs, errors, workers: workers.map(({ id }) => id) }
}

const contains = (sql: string) => `strpos(lower(${sql}), lower($1::text)) > 0`

const ERRORS_SQL = `
  select code, count(*)::int as "count", (array_agg(coalesce(message, '') order by at desc))[1] as "message",
         max(at) as "lastAt"
  from (
    select ${boundedText('run."errorCode"')} as code, run."startedAt" as at,
           case when pg_column_size(run."details") <= ${MAX_DETAILS_BYTES}
             then ${boundedText(`run."details" #>> '{error,message}'`)} end as message
    from "JobRun" run where run."errorCode" is not null
    order by run."startedAt" desc, run."id" desc limit ${MAX_FAILED}
  ) failed
  where ${contains('code')} or ${contains('message')}
  group by code order by max(at) desc limit ${MAX_MATCHES}`

const WORKERS_SQL = `
  select worker."id" from "JobWorker" worker where ${contains('worker."id"')}
  order by worker."startedAt" desc limit ${MAX_MATCHES}`

async function findByLabel(reader: Reader, text: string): Promise<LabelMatch[]> {
  const rows = await reader.rows<RunRow & { label: string }>({
    text: LABELS_SQL,
    values: [text, `${text.replaceAll(/[\\%_]/g, '\\$&')}%`],
  })
  return rows.map(({ label, ...run }) => ({ label, run: toMatch(run) }))
}

const LABELLED = `run."label", run."id", run."name", run."status", run."errorCode", run."startedAt"`

/** The first in the order of the index, which is not that of the database's language. */
const LABELS_SQL = `
  select ${boundedText('label')} as "label", "id", "name", "status", ${boundedText('"errorCode"')} as "errorCode", "startedAt"
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

async function findByIds(reader: Reader, text: string): Promise<RunMatch[]> {
  const digits = text.toLowerCase().replaceAll('-', '')
  if (digits.length < MIN_ID_DIGITS || !/^[0-9a-f]{1,32}$/.test(digits)) return []
  const rows = await reader.rows<RunRow>({
    text: RUNS_SQL,
    values: [digits.padEnd(32, '0'), digits.padEnd(32, 'f')],
  })
  return rows.map(toMatch)
}

type RunRow = Omit<RunMatch, 'outcome'> & { status: RunStatus; errorCode: string | null }

function toMatch({ status, errorCode, ...run }: RunRow): RunMatch {
  return { ...run, outcome: runOutcome({ status, errorCode }) }
}

/** Each by its own index; a run whose work has its id is in both. */
const RUNS_SQL = `
  select distinct on (run."startedAt", run."id") run.* from (
    (${byId('id')}) union all (${byId('queueJobId')})
  ) run
  order by run."startedAt" desc, run."id" desc limit ${MAX_MATCHES}`

function byId(column: 'id' | 'queueJobId'): string {
  return `
    select run."id", run."name", run."status", ${boundedText('run."errorCode"')} as "errorCode", run."startedAt"
    from "JobRunAll" run where run."${column}" between $1::uuid and $2::uuid
    order by run."${column}" desc limit ${MAX_MATCHES}`
}
