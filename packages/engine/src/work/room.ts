import { setTimeout as pause } from 'node:timers/promises'
import { ownLimitOf } from '../job/limits.ts'
import { readLimitNews, writeLimitNews } from '../database/channels.ts'
import type { LimitState } from '../queue/claimUnderLimits.ts'
import type { Waker } from '../database/waker.ts'
import type { Limits } from './limits.ts'

/*
 * The notifications by which workers share the room of a limit, so that another worker uses at once what one leaves free.
 *
 *   waits   A worker sends it after a claim has found a limit or all keys full. The others put the worker on their list.
 *   room    After the end of a run, a worker first takes waiting work of its own jobs. If room is left, it notifies the first worker
 *           on its list.
 *
 * While its own jobs fill a limit, a worker sends only what gives jobs of other workers their turn. A round finds within a second
 * what a lost notification would have announced.
 */

export interface Room {
  /** A claim under these limits is about to be made. Where others wait with jobs of theirs, they go first now and then. */
  claiming(limits: readonly string[]): Promise<void>
  /** It has been answered; null: it has failed. */
  claimed(name: string, limits: readonly string[], answer: RoomLeft | null): void
  /** A run under these limits has ended. */
  ended(name: string, limits: readonly string[], key: string): void
  isWanted(subject: string): boolean
  receive(subject: string): void
  /** Sends the notifications that wait. */
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
  /** Keys whose runs have ended, and at which no claim has looked since. Empty: none, or a limit that jobs share. */
  freed: Set<string>
  /** These are by performance.now(). */
  freedAt: number
  gaveWayAt: number
  givingWay: Promise<void> | null
  claims: number
}

/** By then the claim that follows an end is under way. */
const SEND_AFTER_MS = 2
/** For so long a freed key counts for workers whose `waits` comes after the end of the run. */
const FREED_MS = 1_000
/** A waiting worker repeats its `waits` with each round. */
const REPEAT_AFTER_MS = 900
/** For so long, and as often, a worker that could fill a limit alone lets others claim first. */
const GIVE_WAY_MS = 20
const GIVE_WAY_EVERY_MS = 250
/** Bounds, since any client of the database can notify. */
const MAX_WAITING = 1_000
const MAX_FREED = 100

export function createRoom(options: {
  workerId: string
  waker: Pick<Waker, 'wake'>
  limits: Pick<Limits, 'of' | 'under'>
  /** Called for a job that may start more runs. */
  onRoom: (name: string) => void
}): Room {
  const { workerId, waker, limits, onRoom } = options
  const known = new Map<string, KnownLimit>()
  /** When this worker last sent `waits` for a job. */
  const sentAt = new Map<string, number>()
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

  function announceWait(limit: string, job: string): void {
    const now = performance.now()
    const of = `${limit}/${job}`
    if (now - (sentAt.get(of) ?? -Infinity) < REPEAT_AFTER_MS) return
    sentAt.set(of, now)
    send({ kind: 'waits', limit, worker: workerId, about: job })
  }

  function announceRoom(limit: string, to?: string): void {
    const { waiting, freed } = knownOf(limit)
    const [first] = waiting.keys()
    const { worker } = waiting.get(to ?? first ?? '') ?? {}
    if (worker === undefined) return
    for (const [at, one] of waiting) if (one.worker === worker) waiting.delete(at)
    for (const key of freed.size > 0 ? freed : [''])
      send({ kind: 'room', limit, worker, about: key })
    freed.clear()
  }

  function announceFreed(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [limit, { freed, claims }] of known)
      if (freed.size > 0 && claims === 0) announceRoom(limit)
  }

  async function giveWay(limit: string): Promise<void> {
    const one = knownOf(limit)
    if (one.givingWay !== null) return await one.givingWay
    if (performance.now() - one.gaveWayAt < GIVE_WAY_EVERY_MS) return
    const other = [...one.waiting].find(([, { job }]) => limits.of(job) === null)
    if (other === undefined) return
    one.gaveWayAt = performance.now()
    announceRoom(limit, other[0])
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
        // The claim left none of these keys' work, so nothing waits for them.
        else for (const key of answer.keys) one.freed.delete(key)
        if (answer.isFull && (isLimitFull ? left <= 0 : name === ownLimitOf(job)))
          announceWait(name, job)
        if (one.claims === 0 && (one.freed.size > 0 || (left > 0 && !answer.isFull)))
          announceRoom(name)
      }
    },
    ended(job, names, key) {
      for (const name of names) {
        const one = knownOf(name)
        one.freedAt = performance.now()
        if (one.freed.size < MAX_FREED) one.freed.add(name === ownLimitOf(job) ? key : '')
        if (one.waiting.size > 0) timer ??= setTimeout(announceFreed, SEND_AFTER_MS)
      }
    },
    isWanted(subject) {
      const news = readLimitNews(subject)
      if (news === null || limits.under(news.limit).length === 0) return false
      return news.kind === 'waits' ? news.worker !== workerId : isFor(news.worker)
    },
    receive(subject) {
      const news = readLimitNews(subject)
      if (news === null) return
      const { kind, limit, worker, about } = news
      if (kind === 'waits') {
        const { waiting, freed, freedAt, claims } = knownOf(limit)
        if (waiting.size < MAX_WAITING) waiting.set(`${worker}/${about}`, { worker, job: about })
        if (freed.size > 0 && claims === 0 && performance.now() - freedAt < FREED_MS)
          announceRoom(limit)
        return
      }
      for (const name of limits.under(limit)) {
        const shares = limits.of(name)?.shares
        sentAt.delete(`${limit}/${name}`)
        if (worker === '') shares?.refresh(true)
        else if (limit === ownLimitOf(name)) shares?.ended(about)
        onRoom(name)
      }
    },
    stop: announceFreed,
  }

  function isFor(worker: string): boolean {
    return worker === '' || worker === workerId
  }
}
