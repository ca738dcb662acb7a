import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { JOIN_WRITER, WRITER_VERSION } from '../queue/stepSql.ts'
import { LATER, READY, SUSPECT } from '../queue/waitingSql.ts'
import { isAliveSql } from '../database/workerLock.ts'
import type { JobsReader } from './reader.ts'
import { NAMES_OF_WORK } from './workOfJobs.ts'

/*
 * What a version that is to be deployed will meet: steps of work that waits or runs, and signals that no wait has taken.
 */

/** Maximum of pieces of work of each job, and of signals, to read. */
export const MAX_IN_FLIGHT = 10_000
/** A result may have 1 MB, and a piece of work 16 MB of them. */
const WORK_PER_PAGE = 20
const PAYLOADS_PER_PAGE = 100

export interface JobInFlight {
  name: string
  /** Its work that has begun a step, at most MAX_IN_FLIGHT and one. */
  workIds: string[]
  /** Whether a living worker takes it that takes none of the jobs that were asked for: another program's. */
  isForeign: boolean
}

/** Lists the jobs of which work waits or runs. `own`: the jobs that are the program's own. */
export async function listJobsInFlight(
  reader: JobsReader,
  own: readonly string[],
): Promise<JobInFlight[]> {
  const waiting = [READY, SUSPECT, LATER].map(
    (part) => `(
        select work."id" from "JobWork" work
        where work."name" = job."name" and ${part} and (work."attempt" > 1 or work."resumptions" is not null)
          and exists (select from "JobStep" step where step."workId" = work."id")
        limit ${MAX_IN_FLIGHT + 1}
      )`,
  )
  return await reader.rows<JobInFlight>({
    text: `
      with job as materialized (
        select names.name from (${NAMES_OF_WORK} union select "name" from "JobClaim" where "runIds" <> '{}') names(name)
      ), held as materialized (
        select run."name", run."workId" from ${RUNS_UNDER_WAY}
        where exists (select from "JobStep" step where step."workId" = run."workId") limit ${MAX_IN_FLIGHT + 1}
      ), living as materialized (
        select worker."lanes" from "JobWorker" worker where ${isAliveSql('worker."id"')}
      )
      select job."name", array(
        select begun."id"::text from (
          ${waiting.join(' union all ')} union all select held."workId" from held where held."name" = job."name"
        ) begun("id") limit ${MAX_IN_FLIGHT + 1}
      ) as "workIds", exists (
        select from living where living."lanes" ? job."name" and not living."lanes" ?| $1::text[]
      ) as "isForeign"
      from job order by 1`,
    values: [own],
  })
}

export interface StepInFlight {
  name: string
  /** The signal that it waits for, or has waited for. */
  signal: string | null
  isOpen: boolean
  /** Of how many pieces of work. */
  works: number
  /** The versions of the product that wrote its rows, where they are known. */
  versions: string[]
}

/** Lists the steps of these pieces of work. */
export async function listStepsInFlight(
  reader: JobsReader,
  workIds: readonly string[],
): Promise<StepInFlight[]> {
  return await reader.rows<StepInFlight>({
    text: `
      select step."name", step."signal", step."endedAt" is null as "isOpen", count(distinct step."workId")::int as "works",
        array_remove(array_agg(distinct ${WRITER_VERSION}), null) as "versions"
      from "JobStep" step ${JOIN_WRITER}
      where step."workId" = any($1::uuid[])
      group by step."name", step."signal", 3 order by 1, 2, 3`,
    values: [workIds],
  })
}

export interface StepResult {
  workId: string
  name: string
  signal: string | null
  result: unknown
  version: string | null
}

/** Reads the results of these steps of these pieces of work, page by page. A wait has the payload of its signal before it ends. */
export async function* readStepResults(
  reader: JobsReader,
  workIds: readonly string[],
  names: readonly string[],
): AsyncGenerator<StepResult> {
  for (let at = 0; at < workIds.length; at += WORK_PER_PAGE)
    yield* await reader.rows<StepResult>({
      text: `
        select step."workId"::text as "workId", step."name", step."signal", step."result", ${WRITER_VERSION} as "version"
        from "JobStep" step ${JOIN_WRITER}
        where step."workId" = any($1::uuid[]) and step."name" = any($2::text[]) and step."error" is null
          and (step."endedAt" is not null or step."signal" is not null and step."result" is not null)`,
      values: [workIds.slice(at, at + WORK_PER_PAGE), names],
    })
}

const UNREAD = `"takenBy" is null and "expiresAt" > now()`

/** Counts the signals that no wait has taken, by name. It stops at MAX_IN_FLIGHT and one of all. */
export async function listSignalsInFlight(
  reader: JobsReader,
): Promise<{ name: string; unread: number }[]> {
  return await reader.rows({
    text: `
      select "name", count(*)::int as "unread" from (
        select "name" from "JobSignal" where ${UNREAD} limit ${MAX_IN_FLIGHT + 1}
      ) signal group by "name" order by "name"`,
  })
}

/** Reads the payloads of signals with this name that no wait has taken, at most MAX_IN_FLIGHT, page by page. */
export async function* readSignalPayloads(
  reader: JobsReader,
  name: string,
): AsyncGenerator<{ key: string; id: string; payload: unknown }> {
  let after = { key: '', id: '' }
  for (let read = 0; read < MAX_IN_FLIGHT; read += PAYLOADS_PER_PAGE) {
    const rows = await reader.rows<{ key: string; id: string; payload: unknown }>({
      text: `
        select "key", "id", "payload" from "JobSignal"
        where "name" = $1 and ("key", "id") > ($2, $3) and ${UNREAD} order by "key", "id" limit ${PAYLOADS_PER_PAGE}`,
      values: [name, after.key, after.id],
    })
    yield* rows
    after = rows.at(-1) ?? after
    if (rows.length < PAYLOADS_PER_PAGE) return
  }
}
