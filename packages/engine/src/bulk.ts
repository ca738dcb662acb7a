import type { Job } from './job/defineJob.ts'
import {
  asItIs,
  checkId,
  checkJobName,
  checkParts,
  checkPosition,
  copyParts,
  listOf,
  optional,
} from './job/argument.ts'
import type { JobsClient } from './createJobsClient.ts'
import { listJobRuns, type ListJobRunsOptions } from './read/jobRuns.ts'
import {
  chooseDeadLetters,
  chooseLettersOfRuns,
  countDeadLetters,
  type ChosenLetter,
  type DeadLetterFilter,
} from './read/listDeadLetters.ts'
import type { PagePosition } from './read/reader.ts'
import type { Request } from './control/controlJobs.ts'
import type { Actor } from './control/recordActions.ts'

/*
 * What people do to many dead letters or runs. A call does a bounded part, from the latest to the oldest, and says what is
 * left; the next call goes on from there. So it does not meet again what fails at once, nor what starts meanwhile.
 */

/** Which are meant: those with these ids, or all that match, after a position. */
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
  /** How many stay because other work holds their unique key. */
  alreadyQueued: number
  /** How many stay because the catalogue does not have their job. */
  unknown: number
}

export interface BulkDiscard extends Progress {
  discarded: number
}

export interface BulkCancel extends Progress {
  /** How many runs will stop. */
  requested: number
  /** How many runs had ended, or do not exist. */
  notRunning: number
}

const WHICH = { ids: optional(listOf(checkId)), filter: asItIs, after: optional(checkPosition) }
const checkJobs = listOf(checkJobName)

function checkWhich(which: unknown) {
  const { ids, filter, after } = checkParts('which', which, WHICH)
  return { ids, filter: ids === undefined ? copyParts('which.filter', filter) : {}, after }
}

/** Keeps a call within a second or two. */
const LETTERS_AT_ONCE = 500
const RUNS_AT_ONCE = 50

/** Redrives dead letters. Each job has a transaction, in which its dead letters go back and the actions are recorded. */
export async function bulkRedrive(
  client: JobsClient,
  jobs: readonly Job[],
  which: Which<DeadLetterFilter>,
  by: Request,
): Promise<BulkRedrive> {
  checkJobs('jobs', jobs)
  const { letters, ...progress } = await choose(client, which)
  return { ...(await redriveLetters(client, jobs, letters, by)), ...progress }
}

type RunFilter = Omit<ListJobRunsOptions, 'limit' | 'after'>

/** Redrives the dead letters of which any run matches, whichever attempt it was. */
export async function bulkRedriveOfRuns(
  client: JobsClient,
  jobs: readonly Job[],
  which: { filter: RunFilter; after?: PagePosition | undefined },
  by: Request,
): Promise<BulkRedrive> {
  checkJobs('jobs', jobs)
  const { filter, after } = checkWhich(which)
  const { letters, left, next } = await chooseLettersOfRuns(client.reader, {
    ...filter,
    after,
    limit: LETTERS_AT_ONCE,
  })
  return { ...(await redriveLetters(client, jobs, letters, by)), left, next }
}

async function redriveLetters(
  client: JobsClient,
  jobs: readonly Job[],
  letters: readonly ChosenLetter[],
  by: Request,
): Promise<Omit<BulkRedrive, keyof Progress>> {
  const outcome = { redriven: 0, alreadyQueued: 0, unknown: 0 }
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
  const chosen = letters.map(({ name, id }) => ({ name, workId: id }))
  const discarded = chosen.length === 0 ? 0 : await client.discardDeadLetters(null, chosen, by)
  return { discarded, ...progress }
}

/** Chooses the dead letters of one request, and tells how many are left and where the next request begins. */
async function choose(
  { reader }: JobsClient,
  which: Which<DeadLetterFilter>,
): Promise<Progress & { letters: ChosenLetter[] }> {
  const { ids, filter, after } = checkWhich(which)
  if (ids !== undefined) {
    const letters = await chooseDeadLetters(reader, { limit: ids.length }, ids)
    return { letters, left: 0, next: null }
  }
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

/** Counting runs under way stops here. */
const MAX_COUNTED_RUNS = 200

/** Cancels runs, each in a transaction of its own: two calls that lock many rows could deadlock. */
export async function bulkCancel(
  client: JobsClient,
  which: Which<RunFilter>,
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

/** Chooses the running runs of one request, likewise. */
async function chooseRuns(
  { reader }: JobsClient,
  which: Which<RunFilter>,
): Promise<Progress & { ids: readonly string[] }> {
  const { ids: wanted, filter, after } = checkWhich(which)
  if (wanted !== undefined) return { ids: wanted, left: 0, next: null }
  const running = { ...filter, outcome: 'running' as const }
  const page = await listJobRuns(reader, { ...running, after, limit: RUNS_AT_ONCE })
  // Skip runs that somebody cancelled already: asking again changes nothing, but would be recorded again.
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
