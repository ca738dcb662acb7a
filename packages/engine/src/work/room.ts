import { setTimeout as pause } from 'node:timers/promises'
import { ownLimitOf } from '../job/limits.ts'
import { readLimitNews, writeLimitNews } from '../database/channels.ts'
import type { LimitState } from '../queue/claimUnderLimits.ts'
import type { Waker } from '../database/waker.ts'
import type { Limits } from './limits.ts'

/*
 * What workers tell each other of limits, so that another one takes at once what room one leaves.
 *
 *   waits   A worker says so when a claim has found a limit or all keys full. The others list it.
 *   room    A worker whose run has ended first takes what waits of its own jobs. Of what it leaves it tells the first of its list.
 *
 * While workers fill a limit they tell each other nothing, except that jobs of others get their turn. What a notification would have
 * said, a round finds out within a second.
 */

export interface Room {
  /** A claim under these limits is about to be made. Where others wait with jobs of theirs, they go first now and then. */
  claiming(limits: readonly string[]): Promise<void>
  /** It has been answered; null: it has failed. */
  claimed(name: string, limits: readonly string[], answer: RoomLeft | null): void
  /** A run under these limits has ended. */
  ended(name: string, limits: readonly string[], key: string): void
  isWanted(subject: string): boolean
  hear(subject: string): void
  /** Tells what has not been told yet. */
  stop(): void
}

interface RoomLeft {
  /** How many could start under each limit before this claim, and how many it has taken. */
  free: LimitState['limits']
  taken: number
  /** The keys that it asked for. */
  keys: readonly string[]
  /** Whether no more of the job can start before a run ends. */
  isFull: boolean
}

interface KnownLimit {
  /** `worker/job` of those that wait, the first of them first. */
  waiting: Map<string, { worker: string; job: string }>
  /** Of which keys runs have ended that no claim has looked at since. Empty: none, or a limit that jobs share. */
  freed: Set<string>
  /** These are by performance.now(). */
  freedAt: number
  gaveWayAt: number
  givingWay: Promise<void> | null
  claims: number
}

/** By then the claim that follows an end is under way. */
const TELL_AFTER_MS = 2
/** An end may have come before the word that somebody waits for it. */
const FREED_MS = 1_000
/** Whoever waits says so again by each round. */
const SAY_AGAIN_MS = 900
/** A worker leaves others so much of the time of a limit that it could fill alone, as often. */
const GIVE_WAY_MS = 20
const GIVE_WAY_EVERY_MS = 250
/** Anybody can notify. */
const MAX_WAITING = 1_000
const MAX_FREED = 100

export function createRoom(options: {
  workerId: string
  waker: Pick<Waker, 'wake'>
  limits: Pick<Limits, 'of' | 'under'>
  /** Called for a job of which more may start. */
  onRoom: (name: string) => void
}): Room {
  const { workerId, waker, limits, onRoom } = options
  const known = new Map<string, KnownLimit>()
  /** When this worker said last that work of a job waits for a limit. */
  const saidAt = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  function knownOf(limit: string): KnownLimit {
    let one = known.get(limit)
    if (one === undefined) {
      one = {
        ...{ waiting: new Map(), freed: new Set(), claims: 0, givingWay: null },
        ...{ freedAt: -Infinity, gaveWayAt: -Infinity },
      }
      known.set(limit, one)
    }
    return one
  }

  const send = (news: Parameters<typeof writeLimitNews>[0]) =>
    waker.wake(writeLimitNews(news), null)

  function say(limit: string, job: string): void {
    const now = performance.now()
    const of = `${limit}/${job}`
    if (now - (saidAt.get(of) ?? -Infinity) < SAY_AGAIN_MS) return
    saidAt.set(of, now)
    send({ kind: 'waits', limit, worker: workerId, about: job })
  }

  function tell(limit: string, to?: string): void {
    const { waiting, freed } = knownOf(limit)
    const [first] = waiting.keys()
    const { worker } = waiting.get(to ?? first ?? '') ?? {}
    if (worker === undefined) return
    for (const [at, one] of waiting) if (one.worker === worker) waiting.delete(at)
    for (const key of freed.size > 0 ? freed : [''])
      send({ kind: 'room', limit, worker, about: key })
    freed.clear()
  }

  function tellFreed(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [limit, { freed, claims }] of known) if (freed.size > 0 && claims === 0) tell(limit)
  }

  async function giveWay(limit: string): Promise<void> {
    const one = knownOf(limit)
    if (one.givingWay !== null) return await one.givingWay
    if (performance.now() - one.gaveWayAt < GIVE_WAY_EVERY_MS) return
    const other = [...one.waiting].find(([, { job }]) => limits.of(job) === null)
    if (other === undefined) return
    one.gaveWayAt = performance.now()
    tell(limit, other[0])
    one.givingWay = pause(GIVE_WAY_MS).then(() => void (one.givingWay = null))
    await one.givingWay
  }

  return {
    async claiming(names) {
      for (const name of names) await giveWay(name)
      for (const name of names) knownOf(name).claims++
    },
    claimed(job, names, answer) {
      const leftUnder = (name: string) => (answer?.free[name] ?? Infinity) - (answer?.taken ?? 0)
      // Otherwise all keys are.
      const isLimitFull = names.some((name) => leftUnder(name) <= 0)
      for (const name of names) {
        const one = knownOf(name)
        one.claims--
        if (answer === null) continue
        const left = leftUnder(name)
        if (left <= 0) one.freed.clear()
        // Where there was no more of these, nobody waits for them.
        else for (const key of answer.keys) one.freed.delete(key)
        if (answer.isFull && (isLimitFull ? left <= 0 : name === ownLimitOf(job))) say(name, job)
        if (one.claims === 0 && (one.freed.size > 0 || (left > 0 && !answer.isFull))) tell(name)
      }
    },
    ended(job, names, key) {
      for (const name of names) {
        const one = knownOf(name)
        one.freedAt = performance.now()
        if (one.freed.size < MAX_FREED) one.freed.add(name === ownLimitOf(job) ? key : '')
        if (one.waiting.size > 0) timer ??= setTimeout(tellFreed, TELL_AFTER_MS)
      }
    },
    isWanted(subject) {
      const news = readLimitNews(subject)
      if (news === null || limits.under(news.limit).length === 0) return false
      return news.kind === 'waits' ? news.worker !== workerId : isFor(news.worker)
    },
    hear(subject) {
      const news = readLimitNews(subject)
      if (news === null) return
      const { kind, limit, worker, about } = news
      if (kind === 'waits') {
        const { waiting, freed, freedAt, claims } = knownOf(limit)
        if (waiting.size < MAX_WAITING) waiting.set(`${worker}/${about}`, { worker, job: about })
        if (freed.size > 0 && claims === 0 && performance.now() - freedAt < FREED_MS) tell(limit)
        return
      }
      for (const name of limits.under(limit)) {
        const shares = limits.of(name)?.shares
        saidAt.delete(`${limit}/${name}`)
        if (worker === '') shares?.refresh(true)
        else if (limit === ownLimitOf(name)) shares?.ended(about)
        onRoom(name)
      }
    },
    stop: tellFreed,
  }

  function isFor(worker: string): boolean {
    return worker === '' || worker === workerId
  }
}
