import {
  checkRequest,
  checkWhichLetters,
  MAX_LETTERS,
  REDRIVE_REQUEST,
} from '../arguments/actions.ts'
import type { Job } from '../job/defineJob.ts'
import { namesOfStep } from '../job/step.ts'
import { readBesideClaim } from '../queue/claimWork.ts'
import type { Connection } from '../database/database.ts'
import {
  DISCARD_DEAD_LETTERS_SQL,
  FIND_HOLDER_SQL,
  FIND_STEPS_SQL,
  REDRIVE_DEAD_LETTERS_SQL,
  TAKE_DEAD_LETTER_SQL,
  type LetterTaken,
} from '../queue/deadLetterSql.ts'
import {
  chooseDeadLetters,
  countDeadLetters,
  type ChosenLetter,
  type DeadLetterFilter,
} from '../read/listDeadLetters.ts'
import { plainReaderOf } from '../read/reader.ts'
import type { ActionRequest } from './controlJobs.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/** Selects dead letters: all, those with these ids, or those that match a filter. */
export type WhichLetters = 'all' | { ids: readonly string[] } | { filter: DeadLetterFilter }

export interface LettersLeft {
  /** Matching dead letters beyond the maximum of one call, up to 100,000: `actOnMany` takes all. */
  left: number
}

export interface RedriveOutcome extends LettersLeft {
  /** Dead letters that went back into the queue. */
  redriven: number
  /**
   * Dead letters that stay because other work of the job with their unique key is waiting or running. A further call finds them
   * again.
   */
  alreadyQueued: number
  /** Dead letters that stay because two or more workers have died while they ran them: see `evenIfWorkersDied`. */
  endedWorkers: number
  /** Dead letters with steps that stay because they were cancelled: see `from`. Those named in `ids` are retried. */
  cancelled: number
  /** Dead letters with steps that stay because they have not ended the one that `from` names. Absent: none. */
  withoutStep?: number
  /** Of those that went back, the children whose parents have gone on: no step gets their results. Absent: none. */
  unawaited?: number
  /** Dead letters that stay because they belong to none of the given jobs. */
  unknown: number
}

export interface DiscardOutcome extends LettersLeft {
  discarded: number
}

export interface RedriveRequest extends ActionRequest {
  /** Only dead letters of these jobs. With `steps`, `from` may name a renamed step by any of its names. Default: of all jobs. */
  jobs?: readonly (Pick<Job, 'name'> & Partial<Pick<Job, 'steps'>>)[] | undefined
  /** Also retry work that two or more workers have died of, or beside: it may end another worker. Default false. */
  evenIfWorkersDied?: boolean | undefined
  /**
   * The steps of durable work that run again: from the failed one on (default), all (`beginning`), or a given step and those
   * that ended after it. Steps that run again get new keys. Work that failed with its children (`child_failed`) goes on with the
   * results of those that were retried; the others fail it again. From the step that enqueued them, all children start again.
   * Cancelled work is retried only if this is given or `ids` names the work, because its handler may have undone earlier steps.
   */
  from?: 'failure' | 'beginning' | { step: string; item?: string | undefined } | undefined
}

/** Gives dead letters back to the queue with new attempts, and records the person and the reason. */
export async function redriveDeadLetters(
  tx: Connection,
  which: WhichLetters,
  request: RedriveRequest,
): Promise<RedriveOutcome> {
  const { jobs, evenIfWorkersDied = false, from, by } = checkRequest(request, REDRIVE_REQUEST)
  const { letters, ...rest } = await choose(tx, which)
  const jobOf = new Map(jobs?.map((job) => [job.name, job]))
  const known = letters.filter(({ name }) => jobs === undefined || jobOf.has(name))
  const how = {
    ...by,
    evenIfWorkersDied,
    evenIfCancelled: from !== undefined || (typeof which === 'object' && 'ids' in which),
  }
  const groups =
    typeof from === 'object'
      ? await groupByStep(tx, known, from, (job) => namesOfStep(jobOf.get(job), from.step))
      : [{ ids: known.map(({ id }) => id), from }]
  const redriven: Target[] = []
  const stay = { alreadyQueued: 0, endedWorkers: 0, cancelled: 0 }
  let [unawaited, looked] = [0, 0]
  for (const { ids, from: first } of groups) {
    const done = await redriveLetters(tx, ids, { ...how, from: first })
    redriven.push(...done.redriven)
    for (const reason of Object.keys(stay) as (keyof typeof stay)[]) stay[reason] += done[reason]
    unawaited += done.unawaited
    looked += ids.length
  }
  await recordActions(tx, 'redrive', redriven, by)
  return {
    redriven: redriven.length,
    ...stay,
    ...(unawaited > 0 && { unawaited }),
    ...(looked < known.length && { withoutStep: known.length - looked }),
    unknown: letters.length - known.length,
    ...rest,
  }
}

/** Groups dead letters by the name under which the step is stored. Those that have not ended it are in no group. */
async function groupByStep(
  tx: Connection,
  letters: readonly ChosenLetter[],
  { item = '' }: { item?: string | undefined },
  namesOf: (job: string) => readonly string[],
): Promise<{ ids: string[]; from: { step: string; item: string } }[]> {
  const wanted = letters.flatMap(({ id, name }) => namesOf(name).map((one) => ({ id, one })))
  const { rows } = await tx.query<{ name: string | null; workId: string }>(FIND_STEPS_SQL, [
    wanted.map(({ id }) => id),
    wanted.map(({ one }) => one),
    item,
  ])
  const first = rows.find(({ name }) => name !== null)?.name
  if (first == null) return []
  // Children without steps go back in one statement with their parents.
  const groups = Map.groupBy(rows, ({ name }) => name ?? first)
  return [...groups].map(([name, of]) => ({
    ids: of.map(({ workId }) => workId),
    from: { step: name, item },
  }))
}

/** Gives these back to the queue without a record, and returns how many stay, by reason. */
export async function redriveLetters(
  tx: Connection,
  ids: readonly string[],
  {
    actor,
    reason,
    evenIfWorkersDied = false,
    evenIfCancelled = false,
    from = 'failure',
  }: Actor & Pick<RedriveRequest, 'evenIfWorkersDied' | 'from'> & { evenIfCancelled?: boolean },
): Promise<Stay & { redriven: readonly Target[] }> {
  const of = { failure: [null, null], beginning: ['', ''] }
  const [step, item] = typeof from === 'object' ? [from.step, from.item ?? ''] : of[from]
  const values = [ids, actor, reason ?? null, evenIfWorkersDied, step, item, evenIfCancelled]
  const { rows } = await tx.query<Target & Stay>(REDRIVE_DEAD_LETTERS_SQL, values)
  // Every row has the same counts. If nothing was redriven, a single row has them.
  const { alreadyQueued = 0, endedWorkers = 0, cancelled = 0, unawaited = 0 } = rows[0] ?? {}
  const redriven = rows.filter(({ workId }) => workId !== null)
  return { redriven, alreadyQueued, endedWorkers, cancelled, unawaited }
}

/** Deletes dead letters permanently, and records the person. Their runs stay on record. */
export async function discardDeadLetters(
  tx: Connection,
  which: WhichLetters,
  request: Actor,
): Promise<DiscardOutcome> {
  const { by } = checkRequest(request)
  const { letters, ...rest } = await choose(tx, which)
  const { rows } = await tx.query<Target>(DISCARD_DEAD_LETTERS_SQL, [letters.map(({ id }) => id)])
  await recordActions(tx, 'discard', rows, by)
  return { discarded: rows.length, ...rest }
}

interface Target {
  [column: string]: unknown
  name: string
  workId: string
}

type Stay = Required<
  Pick<RedriveOutcome, 'alreadyQueued' | 'endedWorkers' | 'cancelled' | 'unawaited'>
>

/** Chooses the dead letters of one call, from the latest to the oldest, and counts those beyond. */
async function choose(
  tx: Connection,
  which: WhichLetters,
): Promise<LettersLeft & { letters: readonly ChosenLetter[] }> {
  const reader = plainReaderOf(tx)
  const wanted = checkWhichLetters(which)
  if ('ids' in wanted) {
    const { ids } = wanted
    return { letters: await chooseDeadLetters(reader, { limit: ids.length }, ids), left: 0 }
  }
  const given = wanted.filter
  const letters = await chooseDeadLetters(reader, { ...given, limit: MAX_LETTERS }, null)
  const last = letters.length === MAX_LETTERS ? letters.at(-1) : undefined
  if (last === undefined) return { letters, left: 0 }
  const after = { at: last.at, id: last.id }
  return { letters, left: await countDeadLetters(reader, { ...given, after }) }
}

export type TakenDeadLetter =
  | { kind: 'taken'; work: LetterTaken }
  /** Work with its unique key is waiting or running. */
  | { kind: 'alreadyQueued'; workId: string }
  /** The job has no dead letter with this id. */
  | { kind: 'notFound' }

/** Takes a dead letter for one attempt by hand, with its unique key. */
export async function takeDeadLetter(
  tx: Connection,
  name: string,
  workId: string,
): Promise<TakenDeadLetter> {
  const { rows: letters } = await tx.query<LetterTaken & { [column: string]: unknown }>(
    TAKE_DEAD_LETTER_SQL,
    [name, workId],
  )
  const [work] = await readBesideClaim(tx, letters)
  if (work) return { kind: 'taken', work }
  const { rows } = await tx.query<{ workId: string }>(FIND_HOLDER_SQL, [name, workId])
  return rows[0] ? { kind: 'alreadyQueued', workId: rows[0].workId } : { kind: 'notFound' }
}
