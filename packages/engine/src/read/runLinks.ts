import { boundedText } from './bounded.ts'
import type { FoundJobRun } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

/** A run that another one is linked with. Instants are ISO 8601 in UTC. */
export interface LinkedRun {
  id: string
  name: string
  label: string | null
  outcome: RunOutcome
  startedAt: string
  endedAt: string | null
}

/** A piece of work that came from a run. */
export interface ChildOfRun {
  workId: string
  name: string
  label: string | null
  /** Its last run. Null if it has not started yet. */
  run: LinkedRun | null
  /** It does not start before this instant. Null if it does not wait. */
  startAfter: string | null
}

/** The origin of a run, its successors, and similar runs. */
export interface RunLinks {
  /** The run whose handler has enqueued its work. `run` is null if that is no longer kept. */
  parent: { id: string; run: LinkedRun | null } | null
  /** The run that a person has run again or approved. `run` is null if that is no longer kept. */
  again: {
    id: string
    run: LinkedRun | null
    isApproval: boolean
    actor: string
    at: string
  } | null
  /** Work that its handler has enqueued, or that people have run again, in the order of enqueueing. */
  children: ChildOfRun[]
  /** Whether there are more children, or may be. */
  areChildrenCut: boolean
  /** The last run of other work of the job with the same label before this one, and the first after it, within some minutes. */
  sameLabel: LinkedRun[]
}

const MAX_CHILDREN = 20
/** Maximum of attempts at children to search, and of waiting work that was enqueued during the run. */
const MAX_LOOKED_AT = 10_000
/** Maximum distance of the starts of runs whose work was enqueued twice. */
const NEAR = '10 minutes'
const MAX_LOOKED_AT_NEAR = 200
/** Maximum difference of the clocks that make ids. */
const CLOCKS_DIFFER_MS = 60_000

type Run = Pick<
  FoundJobRun,
  'id' | 'name' | 'label' | 'workId' | 'parentId' | 'startedAt' | 'endedAt' | 'dryRun'
>

/** Reads the links of a run, with bounded statements. */
export async function readRunLinks(reader: JobsReader, run: Run): Promise<RunLinks> {
  const [again, children, sameLabel] = await Promise.all([
    findAgain(reader, run),
    listChildren(reader, run),
    listSameLabel(reader, run),
  ])
  const ids = [run.parentId, again?.id ?? null].filter((id) => id !== null)
  const known = await findRuns(reader, ids)
  const { parentId } = run
  return {
    parent: parentId === null ? null : { id: parentId, run: known.get(parentId) ?? null },
    again: again && { ...again, run: known.get(again.id) ?? null },
    ...children,
    sameLabel,
  }
}

const LINKED = `"id", ${boundedText('"name"')} as "name", ${boundedText('"label"')} as "label", ${outcomeOf()} as "outcome",
  "startedAt", "endedAt"`

async function findRuns(reader: JobsReader, ids: string[]): Promise<Map<string, LinkedRun>> {
  if (ids.length === 0) return new Map()
  const rows = await reader.rows<LinkedRun>({
    text: `select ${LINKED} from "JobRunAll" where "id" = any($1::uuid[])`,
    values: [ids],
  })
  return new Map(rows.map((row) => [row.id, row]))
}

/** The record of people's actions names the run from which this work originates. */
const IS_AGAIN = `"runId" is not null and "workId" is not null and "action" in ('run', 'dryRun', 'approve')`

async function findAgain(
  reader: JobsReader,
  { workId }: Run,
): Promise<Omit<NonNullable<RunLinks['again']>, 'run'> | null> {
  if (workId === null) return null
  const [action] = await reader.rows<Omit<NonNullable<RunLinks['again']>, 'run'>>({
    text: `
      select "runId" as "id", "action" = 'approve' as "isApproval", ${boundedText('"actor"')} as "actor", "at"
      from "JobAction" where "workId" = $1::uuid and ${IS_AGAIN} order by "at" limit 1`,
    values: [workId],
  })
  return action ?? null
}

type ChildRow = Omit<ChildOfRun, 'run'> &
  Omit<LinkedRun, 'id'> & { id: string | null; isCut: boolean }

/*
 * The last attempt at a child counts. Waiting work that came from a run has no index: the ids of work begin with the time of
 * their creation.
 */
const CHILDREN_SQL = `
  with again as materialized (
    select "workId" from "JobAction" where "runId" = $1::uuid and ${IS_AGAIN} limit ${MAX_CHILDREN + 1}
  ), attempts as materialized (
    select "workId" from "JobRunAll" where "parentId" = $1::uuid and "workId" is not null
    order by "workId", "attempt" desc limit ${MAX_LOOKED_AT}
  ), looked as materialized (
    select "id", "facts" ->> 'parent' as "parentId" from "JobWork"
    where "id" between $2::uuid and $3::uuid order by "id" limit ${MAX_LOOKED_AT}
  ), child as materialized (
    select "workId" from attempts union select "workId" from again
    union select "id" from looked where "parentId" = $1::uuid::text
    order by "workId" limit ${MAX_CHILDREN + 1}
  )
  select child."workId", ${boundedText('coalesce(run."name", work."name")')} as "name",
         ${boundedText('coalesce(run."label", work."label")')} as "label", work."dueAt" as "startAfter",
         run."id", run."outcome", run."startedAt", run."endedAt",
         (select count(*) from attempts) >= ${MAX_LOOKED_AT} or (select count(*) from looked) >= ${MAX_LOOKED_AT}
           or (select count(*) from child) > ${MAX_CHILDREN} as "isCut"
  from (select) one left join child on true
  left join "JobWork" work on work."id" = child."workId"
  left join lateral (
    select ${LINKED} from "JobRunAll" run where run."workId" = child."workId" order by run."attempt" desc, run."startedAt" desc limit 1
  ) run on true
  order by child."workId"`

async function listChildren(
  reader: JobsReader,
  { id, startedAt, endedAt }: Run,
): Promise<Pick<RunLinks, 'children' | 'areChildrenCut'>> {
  const sinceMs = Date.parse(startedAt) - CLOCKS_DIFFER_MS
  const untilMs = endedAt === null ? Number.NaN : Date.parse(endedAt) + CLOCKS_DIFFER_MS
  const rows = await reader.rows<ChildRow>({
    text: CHILDREN_SQL,
    values: [id, idAt(sinceMs || 0), idAt(untilMs || MAX_ID_MS)],
  })
  const children = rows
    .slice(0, MAX_CHILDREN)
    // Work that was cancelled before its start is in no table.
    .filter(({ id: runId, startAfter }) => runId !== null || startAfter !== null)
    .map(({ workId, startAfter, isCut: _isCut, id: runId, ...run }) => ({
      ...{ workId, name: run.name, label: run.label, startAfter },
      run: runId === null ? null : { id: runId, ...run },
    }))
  return { children, areChildrenCut: rows[0]?.isCut === true }
}

const MAX_ID_MS = 2 ** 48 - 1

/** The least id of version 7 for an instant. RFC 9562: it begins with 48 bits of milliseconds. */
function idAt(ms: number): string {
  const digits = Math.max(0, Math.min(ms, MAX_ID_MS)).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`
}

const nearSql = (span: string, order: string) => `(
    select ${LINKED} from (
      select * from "JobRunAll" where "label" = $1 and ${span} order by "startedAt" ${order}, "id" ${order}
      limit ${MAX_LOOKED_AT_NEAR}
    ) run
    where "name" = $2 and not "dryRun" and coalesce("workId", "id") <> $3::uuid
    order by "startedAt" ${order}, "id" ${order} limit 1
  )`

/** Dry runs do not count as a second run. */
async function listSameLabel(
  reader: JobsReader,
  { id, name, label, workId, startedAt, dryRun }: Run,
): Promise<LinkedRun[]> {
  if (label === null || dryRun) return []
  return await reader.rows<LinkedRun>({
    text: `
      select * from (
        ${nearSql(`("startedAt", "id") < ($4::timestamptz, $5::uuid) and "startedAt" >= $4::timestamptz - interval '${NEAR}'`, 'desc')}
        union all
        ${nearSql(`("startedAt", "id") > ($4::timestamptz, $5::uuid) and "startedAt" <= $4::timestamptz + interval '${NEAR}'`, 'asc')}
      ) near order by "startedAt", "id"`,
    values: [label, name, workId ?? id, startedAt, id],
  })
}
