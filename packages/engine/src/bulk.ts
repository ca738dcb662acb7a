import type { Job } from './index.ts'
import type { JobsClient } from './createJobsClient.ts'
import { listJobRuns, type ListJobRunsOptions } from './read/jobRuns.ts'
import {
  chooseDeadLetters,
  countDeadLetters,
  type ChosenLetter,
  type DeadLetterFilter,
} from './read/listDeadLetters.ts'
import type { PagePosition } from './read/reader.ts'
import type { Request } from './control/controlJobs.ts'
import type { Actor } from './control/recordActions.ts'

/*
 * What people do to many dead letters or runs. One call does a bounded part and says what is left; the next goes on from
 * there, from the latest to the oldest. So what is redriven and fails at once, and what starts meanwhile, is not met again.
 */

/** Those with these ids, or all that match, after a position. */
export type Which<Filter> =
  | { ids: readonly string[] }
  | { filter: Filter; after?: PagePosition | undefined }

interface Progress {
  /** How many more match; a dead letter that could not be redriven is not among them. */
  left: number
  /** Where the next call goes on; null when nothing is left. */
  next: PagePosition | null
}

export interface BulkRedrive extends Progress {
  redriven: number
  /** How many were left, since other work holds their unique key. */
  alreadyQueued: number
  /** How many were left, since nobody here knows their job (any more). */
  unknown: number
}

export interface BulkDiscard extends Progress {
  discarded: number
}

export interface BulkCancel extends Progress {
  /** How many were asked to stop. */
  requested: number
  /** How many had ended, or are not there. */
  notRunning: number
}

/** So that one call ends within a second or two. */
const LETTERS_AT_ONCE = 500
const RUNS_AT_ONCE = 50

/** Each job's in a transaction of its own: its dead letters go back together, and are recorded with it. */
export async function bulkRedrive(
  client: JobsClient,
  jobs: readonly Job[],
  which: Which<DeadLetterFilter>,
  by: Request,
): Promise<BulkRedrive> {
  const { letters, ...progress } = await choose(client, which)
  const outcome = { redriven: 0, alreadyQueued: 0, unknown: 0, ...progress }
  for (const [name, ofJob] of Map.groupBy(letters, (letter) => letter.name)) {
    const job = jobs.find((candidate) => candidate.name === name)
    if (job === undefined) {
      outcome.unknown += ofJob.length
      continue
    }
    const ids = ofJob.map(({ id }) => id)
    const { redriven, alreadyQueued } = await client.redriveWork(null, job, ids, by)
    outcome.redriven += redriven
    outcome.alreadyQueued += alreadyQueued
  }
  return outcome
}

export async function bulkDiscard(
  client: JobsClient,
  which: Which<DeadLetterFilter>,
  by: Actor,
): Promise<BulkDiscard> {
  const { letters, ...progress } = await choose(client, which)
  const chosen = letters.map(({ name, id }) => ({ name, queueJobId: id }))
  const discarded = chosen.length === 0 ? 0 : await client.discardDeadLetters(null, chosen, by)
  return { discarded, ...progress }
}

async function choose(
  { reader }: JobsClient,
  which: Which<DeadLetterFilter>,
): Promise<Progress & { letters: ChosenLetter[] }> {
  if ('ids' in which) {
    const { ids } = which
    const letters = await chooseDeadLetters(reader, { limit: ids.length }, ids)
    return { letters, left: 0, next: null }
  }
  const { filter, after } = which
  const letters = await chooseDeadLetters(
    reader,
    { ...filter, after, limit: LETTERS_AT_ONCE },
    null,
  )
  const last = letters.length === LETTERS_AT_ONCE ? letters.at(-1) : undefined
  if (last === undefined) return { letters, left: 0, next: null }
  const next = { at: last.at, id: last.id }
  const left = await countDeadLetters(reader, { ...filter, after: next })
  return { letters, left, next: left === 0 ? null : next }
}

/** How many runs under way are counted at most. */
const MAX_COUNTED_RUNS = 200

/** Each in a transaction of its own: of two that wait for each other's rows, one would be undone. */
export async function bulkCancel(
  client: JobsClient,
  which: Which<Omit<ListJobRunsOptions, 'limit' | 'after'>>,
  by: Request,
): Promise<BulkCancel> {
  const { ids, ...progress } = await chooseRuns(client, which)
  const outcome = { requested: 0, notRunning: 0, ...progress }
  for (const id of ids) {
    const cancelled = await client.cancelRun(null, id, by)
    if (cancelled === 'requested') outcome.requested += 1
    else outcome.notRunning += 1
  }
  return outcome
}

async function chooseRuns(
  { reader }: JobsClient,
  which: Which<Omit<ListJobRunsOptions, 'limit' | 'after'>>,
): Promise<Progress & { ids: readonly string[] }> {
  if ('ids' in which) return { ids: which.ids, left: 0, next: null }
  const running = { ...which.filter, outcome: 'running' as const }
  const page = await listJobRuns(reader, { ...running, after: which.after, limit: RUNS_AT_ONCE })
  // Asking again changes nothing, and would be recorded once more.
  const ids = page.runs.flatMap(({ id, cancelRequestedAt }) =>
    cancelRequestedAt === null ? [id] : [],
  )
  if (page.next === null) return { ids, left: 0, next: null }
  const rest = await listJobRuns(reader, {
    ...running,
    after: page.next,
    limit: MAX_COUNTED_RUNS,
  })
  return { ids, left: rest.runs.length, next: page.next }
}
