import pg from 'pg'
import { v7 as uuid } from 'uuid'
import type { Job } from '../job/defineJob.ts'
import type { Database } from '../database/database.ts'
import {
  ClaimConflict,
  claimWork,
  findWorkOfClaims,
  readBesideClaim,
  type Claimed,
  type ClaimRequest,
} from '../queue/claimWork.ts'
import {
  claimUnderLimits,
  findKeys,
  type AskedKey,
  type LimitState,
} from '../queue/claimUnderLimits.ts'
import type { Taken } from '../queue/taken.ts'
import { createFloors, type Floors } from './floors.ts'
import { createHoldings, type Holdings } from './holdings.ts'
import { createLimits, type LimitedJob, type Limits } from './limits.ts'
import { claimTerms } from '../queue/claimTerms.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { classifyFailure } from '../run/settler.ts'
import type { Room } from './room.ts'
import type { Shares } from './shares.ts'

/** Takes work for the lanes of a worker. */
export interface Claimer {
  /** Takes what several lanes ask for at the same moment with one statement. */
  claim(job: Job, limit: number, options?: ClaimManner): Promise<ClaimAnswer>
  /** Takes one piece of work that is to run alone. */
  claimSuspect(job: Job): Promise<ClaimAnswer>
  /** Whether the job is under limits over all workers. If so, call `ended` after each of its runs. */
  isLimited(job: Job): boolean
  /** The end of a run of such a job is recorded. Returns the other jobs for which the end may have made room. */
  ended(job: Job, work: Pick<Taken, 'key'>): readonly string[]
  /** Lets claims under way end soon, even when the database does not answer. */
  stop(): void
}

export interface ClaimManner {
  /** Whether the job's last claim was answered in full. Default: no. */
  hasBacklog?: boolean
  /** Whether a wake-up has come since the last claim. Its work may lie before the place where that claim ended. Default: no. */
  isAsked?: boolean
  /** Whether new work caused that wake-up. If not, a round did, whose work may have waited for long. Default: no. */
  hasNews?: boolean
}

export interface ClaimAnswer {
  work: readonly Taken[]
  /** False: others cannot see that this worker lives. It gets no work until they can. */
  isAlive: boolean
  /** The claim brought as much as it asked for, or as many bytes as it may, so there may be more. */
  mayBeMore: boolean
  /** How long until the job's rate limit lets the next run start; null when the limit holds nothing back. */
  freeInMs: number | null
  /** The job's limits over all workers let no more start before a run ends. Default: they do, or there are none. */
  isFull?: boolean
}

export interface ClaimerOptions {
  database: Database
  workerId: string
  now: () => Date
  /** Called when the database answers a claim sent at `askedAt` (performance.now) that this worker does not live. */
  onNotAlive?: (askedAt: number) => void
  /** Default: claims begin at the start. */
  floors?: Floors
  /** The claims that the worker holds. Default: they are read by no other part. */
  holdings?: Pick<Holdings, 'claiming'>
  /** Default: no job has any. */
  limits?: Pick<Limits, 'of' | 'besides'>
  /** Notifies other workers of room under limits. Default: it does not. */
  room?: Pick<Room, 'claiming' | 'claimed' | 'ended'>
}

interface Waiting {
  job: Job
  request: ClaimRequest
  resolve: (answer: ClaimAnswer) => void
  reject: (error: unknown) => void
}

/** Statements at once. Requests that come meanwhile wait, and share the next statement. */
const MAX_STATEMENTS = 3
/** The most pieces of a job with limits, since each claim counts all runs under way. */
const MAX_LIMITED = 500
/** After a conflict the next try sees the other claim, unless it meets yet another. */
const MAX_TRIES = 3
/** How long a stopping worker looks for a claim whose answer never came; then it leaves the runs to the rescue. */
const LOOK_AT_STOP_MS = 8_000

/** Makes one claim of what several lanes ask for in the same turn, and remembers claims whose answer was lost. */
export function createClaimer({
  database,
  workerId,
  now,
  onNotAlive = () => undefined,
  floors = createFloors(),
  holdings = createHoldings(),
  limits = createLimits(),
  room,
}: ClaimerOptions): Claimer {
  let waiting: Waiting[] = []
  let underWay = 0
  let isScheduled = false
  let stoppedAt = Infinity

  function schedule(): void {
    if (isScheduled || waiting.length === 0 || underWay === MAX_STATEMENTS) return
    isScheduled = true
    queueMicrotask(() => void claimNext())
  }

  async function claimNext(): Promise<void> {
    isScheduled = false
    // One request of each job: a lane that asks twice gets two claims.
    const group = [...Map.groupBy(waiting, ({ request }) => request.name).values()].map(
      ([first]) => first as Waiting,
    )
    waiting = waiting.filter((one) => !group.includes(one))
    underWay++
    schedule()
    try {
      await claimGroup(group)
    } finally {
      underWay--
      schedule()
    }
  }

  async function claimGroup(group: readonly Waiting[]): Promise<void> {
    const requests = group.map(({ request }) => request)
    try {
      const taken = await claimAndRead(requests, () =>
        claimWork(database, { workerId, requests, startedAt: now() }),
      )
      const byClaim = Map.groupBy(taken.work, ({ claim }) => claim.id)
      for (const { job, request, resolve } of group) {
        const work = byClaim.get(request.claimId) ?? []
        floors.note(job.name, work)
        resolve(toAnswer({ ...taken, work }, request.limit))
      }
    } catch (error) {
      // After a lost answer these claim ids are closed: do not try them again. A lane asks again, with another id.
      const isOfOne = error instanceof ClaimConflict || isCertainFailure(error)
      if (group.length === 1 || !isOfOne) {
        for (const { reject } of group) reject(error)
        return
      }
      // One of the requests fails the statement. Divide them, so that the others go on. Pause before that: the locks of the
      // failed statement may outlast its error, and a claim skips locked work.
      await pauseAfter(1)
      const middle = Math.ceil(group.length / 2)
      await claimGroup(group.slice(0, middle))
      await claimGroup(group.slice(middle))
    }
  }

  async function claimAndRead(
    requests: readonly ClaimRequest[],
    attempt: () => Promise<Claimed>,
  ): Promise<Claimed> {
    return await holdings.claiming(requests, async () => {
      const taken = await claimWithRetry(requests, attempt)
      // This worker holds the runs by now: after any failure it has to begin them or leave them to the rescue.
      return { ...taken, work: await readBeside(taken.work) }
    })
  }

  async function claimWithRetry(
    requests: readonly ClaimRequest[],
    attempt: () => Promise<Claimed>,
  ): Promise<Claimed> {
    for (let tries = 1; ; tries++) {
      const askedAt = performance.now()
      try {
        const taken = await attempt()
        if (!taken.isAlive) onNotAlive(askedAt)
        return taken
      } catch (error) {
        if (isCertainFailure(error)) throw error
        if (!(error instanceof ClaimConflict)) {
          const work = await findClaimAfterLostAnswer(requests, error)
          return { work, isAlive: true, isCut: false }
        }
        if (tries === MAX_TRIES) throw error
        // PostgreSQL sends the error before it releases the statement's locks: a try at once would skip the locked work.
        await pauseAfter(tries)
      }
    }
  }

  /**
   * Finds what claims took when their answer never came. Otherwise their runs would never end: the rescue ends only runs of
   * dead workers.
   */
  async function findClaimAfterLostAnswer(
    requests: readonly ClaimRequest[],
    error: unknown,
  ): Promise<readonly Taken[]> {
    for (let looks = 1; !isOver(); looks++) {
      const work = await findWorkOfClaims(database, workerId, requests).catch(() => null)
      if (work === null) await pauseToLook(looks)
      else if (work.length > 0) return work
      else break
    }
    // If the claim took work and the database is away while this worker stops, the rescue finds the runs.
    throw error
  }

  const isOver = () => performance.now() - stoppedAt > LOOK_AT_STOP_MS
  const pauseToLook = (looks: number) => pauseAfter(stoppedAt < Infinity ? 1 : looks)

  /** Tries again until it is read, or PostgreSQL has refused it for a single piece. */
  async function readBeside(work: readonly Taken[]): Promise<readonly Taken[]> {
    for (let looks = 1; ; looks++) {
      try {
        return await readBesideClaim(database, work)
      } catch (error) {
        if (classifyFailure(error) === 'refused') return await readInParts(work, error as Error)
        if (isOver()) throw error
        await pauseToLook(looks)
      }
    }
  }

  async function readInParts(
    work: readonly Taken[],
    { message }: Error,
  ): Promise<readonly Taken[]> {
    if (work.length === 1) return work.map((one) => ({ ...one, payloadMissing: message }))
    const middle = Math.ceil(work.length / 2)
    return [...(await readBeside(work.slice(0, middle))), ...(await readBeside(work.slice(middle)))]
  }

  /** Claims under the job's limits over all workers, and by its keys. */
  async function claimByRules(
    job: Job,
    whole: ClaimRequest,
    rules: LimitedJob,
    { hasNews = false }: ClaimManner,
    suspects?: { isAlone: boolean },
  ): Promise<ClaimAnswer> {
    const request = { ...whole, limit: Math.min(whole.limit, MAX_LIMITED) }
    const shares = suspects === undefined ? rules.shares : null
    if (hasNews) shares?.seek()
    await shares?.look(async (after, most) => await findKeys(database, job.name, after, most))
    const keys = shares?.ask(request.limit) ?? null
    if (keys?.length === 0) return { ...NOTHING, ...whenOpen(shares), mayBeMore: false }
    let state: LimitState | null = null
    await room?.claiming(rules.limits)
    try {
      const taken = await claimAndRead([request], async () => {
        const of = { limits: rules.limits, order: rules.order, known: rules.known, keys }
        const claiming = { workerId, request, startedAt: now(), suspects, ...of }
        const claimed = await claimUnderLimits(database, claiming)
        state = claimed.state
        return claimed
      })
      const answer = noteTaken(job, request, rules, { taken, state, keys, shares, suspects })
      room?.claimed(job.name, rules.limits, toRoom(answer, state, keys))
      return answer
    } catch (error) {
      room?.claimed(job.name, rules.limits, null)
      if (keys !== null) shares?.release(keys)
      throw error
    }
  }

  function toRoom(
    { work, isFull = false }: ClaimAnswer,
    state: LimitState | null,
    keys: readonly AskedKey[] | null,
  ) {
    const asked = keys?.map(({ key }) => key) ?? []
    return state && { free: state.limits, taken: work.length, keys: asked, isFull }
  }

  function noteTaken(
    job: Job,
    { limit }: ClaimRequest,
    rules: LimitedJob,
    { taken, state, keys, shares, suspects }: TakenByRules,
  ): ClaimAnswer {
    if (state !== null) rules.known = state.known
    if (suspects === undefined) {
      const inOrder = taken.work.toSorted((a, b) => comparePlaces(a.from?.place, b.from?.place))
      floors.note(job.name, inOrder)
    }
    if (keys !== null) shares?.note(keys, taken.work, taken.isCut ? null : state, limit)
    const free = state?.free ?? Infinity
    const isFull = taken.work.length >= free && state?.isRated !== true
    const answer = toAnswer(taken, Math.min(limit, free))
    if (free <= 0) {
      const freeInMs = state?.openInMs ?? null
      // Before that no end of a run makes room.
      return { ...answer, mayBeMore: false, freeInMs, isFull: freeInMs === null }
    }
    if (shares === null) return { ...answer, mayBeMore: answer.mayBeMore && !isFull, isFull }
    const hasKeys = shares.hasOpen() || shares.mayFind()
    const mayBeMore = taken.isAlive && state !== null && !isFull && hasKeys
    return { ...answer, ...whenOpen(shares), mayBeMore, ...(isFull && { isFull }) }
  }

  const whenOpen = (shares: Shares | null) => ({
    freeInMs: shares?.waitMs() ?? null,
    isFull: shares?.hasFull() ?? false,
  })

  function toRequest(
    job: Job,
    limit: number,
    { hasBacklog = false, isAsked = false }: ClaimManner = {},
  ): ClaimRequest {
    return {
      claimId: uuid(),
      name: job.name,
      limit,
      ...claimTerms(job, false),
      // A claim that follows another begins where that one ended. Others look for what that could not see, too.
      behind: floors.behind(job.name, hasBacklog && !isAsked ? 'hint' : 'floor'),
      hasBacklog,
    }
  }

  return {
    async claim(job, limit, manner) {
      const request = toRequest(job, limit, manner)
      const rules = limits.of(job.name)
      if (rules !== null) return await claimByRules(job, request, rules, manner ?? {})
      return await new Promise((resolve, reject) => {
        waiting.push({ job, request, resolve, reject })
        schedule()
      })
    },
    async claimSuspect(job) {
      const request = toRequest(job, 1)
      // An isolated run is in a process of its own, beside others of this one.
      const suspects = { isAlone: job.isolate === null }
      const rules = limits.of(job.name)
      if (rules !== null) return await claimByRules(job, request, rules, {}, suspects)
      const requests = [request]
      const taken = await claimAndRead(requests, () =>
        claimWork(database, { workerId, requests, startedAt: now(), suspects }),
      )
      return toAnswer(taken, 1)
    },
    isLimited: ({ name }) => limits.of(name) !== null,
    ended({ name }, { key }) {
      const rules = limits.of(name)
      rules?.shares?.ended(key ?? '')
      room?.ended(name, rules?.limits ?? [], key ?? '')
      return limits.besides(name)
    },
    stop() {
      stoppedAt = performance.now()
    },
  }
}

interface TakenByRules {
  taken: Claimed
  state: LimitState | null
  keys: readonly AskedKey[] | null
  shares: Shares | null
  suspects: { isAlone: boolean } | undefined
}

const comparePlaces = (a = '0', b = '0') => a.length - b.length || (a < b ? -1 : Number(a > b))

const NOTHING: Claimed = { work: [], isAlive: true, isCut: false }

/** Whether PostgreSQL answered that it did nothing. When a connection or the server went away, it may have done it. */
function isCertainFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !/^(08|57P)/.test(error.code ?? '')
}

/** Makes the answer for a lane. */
function toAnswer({ work, isAlive, isCut }: Claimed, limit: number): ClaimAnswer {
  return { work, isAlive, mayBeMore: isCut || work.length === limit, freeInMs: null }
}
