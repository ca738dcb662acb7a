import { checkTexts } from '../values/argument.ts'
import { isAliveSql } from '../database/workerLock.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'
import { NAMES_OF_LETTERS, NAMES_OF_WORK } from './workOfJobs.ts'

/** A paused queue: no worker takes its work until it is resumed. */
export interface PausedQueue {
  name: string
  /** ISO 8601 in UTC. */
  pausedAt: string
  pausedBy: string
  pauseReason: string | null
}

/** Reads the paused queues, keyed by name. */
export async function readPausedQueues(reader: JobsReader): Promise<Map<string, PausedQueue>> {
  const rows = await reader.rows<PausedQueue>({
    text: `
      select "name", "pausedAt", ${boundedText('"pausedBy"')} as "pausedBy",
             ${boundedText('"pauseReason"')} as "pauseReason"
      from "JobQueue" order by "name" limit 1000`,
  })
  return new Map(rows.map((row) => [row.name, row]))
}

/** Returns those of these jobs that no living worker takes, so their work waits. */
export async function jobsWithoutWorker(
  reader: JobsReader,
  names: readonly string[],
): Promise<string[]> {
  const rows = await reader.rows<{ name: string }>({
    text: `
      with living as materialized (
        select worker."lanes" from "JobWorker" worker where ${isAliveSql('worker."id"')}
      )
      select wanted.name from unnest($1::text[]) with ordinality wanted(name, place)
      where not exists (
        select from living where living."lanes" -> wanted.name is not null
      )
      order by wanted.place`,
    values: [checkTexts('names', names)],
  })
  return rows.map(({ name }) => name)
}

/** The jobs, except `$1`, with unfinished rows in the queue, or with a paused queue. */
const OTHER_JOBS_SQL = `
  select other.name from (
    ${NAMES_OF_WORK} union ${NAMES_OF_LETTERS} union select "name" from "JobClaim" where "runIds" <> '{}'
    union select "name" from "JobQueue"
  ) other(name)
  where other.name <> all($1::text[]) order by 1`

/**
 * Returns these jobs, and after them all others with work or dead letters in the queue, or with a paused queue: a job that has
 * left the catalogue may have work left.
 */
export async function withOtherJobs(
  reader: JobsReader,
  names: readonly string[],
): Promise<string[]> {
  const rows = await reader.rows<{ name: string }>({
    text: OTHER_JOBS_SQL,
    values: [checkTexts('names', names)],
  })
  return [...names, ...rows.map(({ name }) => name)]
}
