import type { AskedKey, FoundKey, LimitState } from '../queue/claimUnderLimits.ts'
import type { Behind, Taken } from '../queue/taken.ts'

/*
 * The keys of one job that have work, as far as this worker has found them, and how much service each has had. The key with the
 * least service is next; what it gets adds to its service. Fair workers make a fair fleet, and nothing is written for it.
 *
 *   open     It is asked for when its turn comes.
 *   asked    A claim is under way for it. The answer opens it again, closes it, or, where that brought less than it might, forgets it.
 *   closed   As many of its runs are under way as may be, or it is paused, parked, or waits for its rate. The end of a run of it, the
 *            instant at which it opens, or the next round opens it.
 *   recent   A claim has left nothing of it. With the next wake-up it is open again: its next piece need not wait for a look.
 *   unknown  It is found by a look, which walks from key to key in the index: it begins with the least service of all. So is what
 *            opens later than the next look, such as a paused key: then it has no credit either.
 */

interface Share {
  readonly key: string
  service: number
  /** The last of its pieces that was taken, since the last round: what an old snapshot keeps of those before is passed over. */
  behind: Behind | null
  state: 'open' | 'asked' | 'closed'
  /** By performance.now(); Infinity: not by itself. */
  opensAt: number
}

export interface Shares {
  /** There may be keys that it has not found, and new work of keys that it has emptied. */
  seek(): void
  /** Looks for them, step by step, while that takes little of the time, or no key is open. */
  look(find: (after: string | null, most: number) => Promise<FoundKey[]>): Promise<void>
  /** The keys whose turn it is, with more of them than there is room for: some may have nothing. */
  ask(room: number): AskedKey[]
  /** The result of that. */
  note(
    asked: readonly AskedKey[],
    work: readonly Taken[],
    state: Pick<LimitState, 'free' | 'keys'> | null,
    limit: number,
  ): void
  /** The claim has failed. */
  release(asked: readonly AskedKey[]): void
  /** A run of the key has ended. */
  ended(key: string): void
  /** Once a second: others may have ended runs, and committed pieces before those that were taken last. With `hasNews`, people may have resumed keys. */
  refresh(hasNews?: boolean): void
  hasOpen(): boolean
  /** Whether there may be keys that no look has come to. */
  mayFind(): boolean
  /** Whether a key waits for the end of a run. */
  hasFull(): boolean
  /** How long until a key opens by itself or the look goes on; null: nothing of that is to come. */
  waitMs(): number | null
}

/** Of more keys, those are forgotten that had most. */
const MAX_KEYS = 10_000
const KEYS_PER_LOOK = 500
/** The pause after a look, as a multiple of its duration. */
const REST = 9
/** The pause after a full pass that found no key to start, as a multiple of its duration. News ends it. */
const REST_IN_VAIN = 49
/** A key that opens later is left to looks: each round begins one. */
const FAR_MS = 1_000
/** A claim with more room than this takes several pieces of a key in its turn: to look at a key costs more than a piece. */
const TURNS_PER_CLAIM = 50
/** How many keys a claim asks for beyond those for which there is room. */
const SPARE = 50
const MAX_RECENT = 20

export function createShares(): Shares {
  const shares = new Map<string, Share>()
  const recent = new Map<string, Share>()
  const queue = createQueueByService()
  let full = 0
  let nextOpenAt = Infinity
  // The least service among the keys that had the last turn.
  let least = 0
  // How many passes over the index a look still has to make, and the key that it has come to.
  let passes = 1
  let after: string | null = null
  let restsUntil = -Infinity
  // How long the pass under way has taken so far, and until when rounds begin no other pass.
  let lookMs = 0
  let vainUntil = -Infinity
  let looking: Promise<void> | null = null

  function open(share: Share): void {
    if (share.state === 'closed' && share.opensAt === Infinity) full--
    share.state = 'open'
    queue.add(share)
  }

  function close(share: Share, inMs: number | null): void {
    share.state = 'closed'
    share.opensAt = inMs === null ? Infinity : performance.now() + inMs
    if (inMs === null) full++
    else nextOpenAt = Math.min(nextOpenAt, share.opensAt)
  }

  function openDue(isRound = false): void {
    const now = performance.now()
    if (now < nextOpenAt && !isRound) return
    nextOpenAt = Infinity
    for (const share of shares.values()) {
      if (share.state !== 'closed') continue
      if (share.opensAt <= now || (isRound && share.opensAt === Infinity)) open(share)
      else if (share.opensAt < nextOpenAt) nextOpenAt = share.opensAt
    }
  }

  function add({ key, openInMs }: FoundKey): void {
    if (shares.has(key) || (openInMs ?? 0) > FAR_MS) return
    const share: Share = { key, service: least, behind: null, state: 'open', opensAt: 0 }
    shares.set(key, share)
    if (openInMs === null) queue.add(share)
    else close(share, openInMs)
  }

  function forgetServed(): void {
    if (shares.size <= MAX_KEYS) return
    const idle = [...shares.values()].filter(({ state }) => state !== 'asked')
    // A look finds closed keys again, so these go first: they must not push out open ones.
    const served = idle.toSorted((a, b) => closedOf(b) - closedOf(a) || b.service - a.service)
    for (const share of served.slice(0, shares.size - MAX_KEYS)) forget(share)
  }

  function forget(share: Share): void {
    if (share.state === 'closed' && share.opensAt === Infinity) full--
    queue.remove(share)
    shares.delete(share.key)
  }

  function remember(share: Share): void {
    recent.delete(share.key)
    recent.set(share.key, share)
    const [oldest] = recent.keys()
    if (recent.size > MAX_RECENT) recent.delete(oldest as string)
  }

  function openRecent(): void {
    for (const share of recent.values()) {
      if (shares.has(share.key)) continue
      share.service = Math.max(share.service, least)
      share.behind = null
      shares.set(share.key, share)
      open(share)
    }
    recent.clear()
  }

  async function step(
    find: (after: string | null, most: number) => Promise<FoundKey[]>,
  ): Promise<void> {
    const from = performance.now()
    const found = await find(after, KEYS_PER_LOOK)
    for (const one of found) add(one)
    forgetServed()
    const isEnd = found.length < KEYS_PER_LOOK
    after = isEnd ? null : (found.at(-1) as FoundKey).key
    const now = performance.now()
    restsUntil = now + REST * (now - from)
    lookMs += now - from
    if (!isEnd) return
    passes--
    vainUntil = queue.size() === 0 ? now + REST_IN_VAIN * lookMs : -Infinity
    lookMs = 0
  }

  return {
    seek() {
      // Keys before the one that the look has come to are found by the next pass.
      passes = after === null ? 1 : 2
      openRecent()
    },
    async look(find) {
      openDue()
      while (passes > 0 && (queue.size() === 0 || performance.now() >= restsUntil)) {
        looking ??= step(find).finally(() => (looking = null))
        await looking
      }
    },
    ask(room) {
      openDue()
      const takes = new Map<Share, number>()
      const counted: { share: Share; service: number }[] = []
      const most = Math.ceil(room / TURNS_PER_CLAIM)
      for (let left = room; left > 0; left -= most) {
        const share = queue.take()
        if (share === undefined) break
        const take = Math.min(most, left)
        if (takes.size === 0) least = Math.max(least, share.service)
        counted.push({ share, service: share.service })
        takes.set(share, (takes.get(share) ?? 0) + take)
        share.service += take
        queue.add(share)
      }
      // The pieces that they get are counted when the claim is answered.
      for (const { share, service } of counted.toReversed()) share.service = service
      for (const share of takes.keys()) queue.remove(share)
      for (let spare = SPARE; spare > 0; spare--) {
        const share = queue.take()
        if (share === undefined) break
        takes.set(share, 1)
      }
      return [...takes].map(([share, take]) => {
        share.state = 'asked'
        return { key: share.key, take, behind: share.behind }
      })
    },
    note(asked, work, state, limit) {
      const byKey = Map.groupBy(work, ({ key }) => key ?? '')
      const isFull = work.length >= Math.min(limit, state?.free ?? Infinity)
      // If the claim was full, the last key with work may have more, and the claim has not looked at the keys behind it.
      const last = isFull ? asked.findLastIndex(({ key }) => byKey.has(key)) : Infinity
      for (const [at, { key, take }] of asked.entries()) {
        const share = shares.get(key)
        if (share === undefined) continue
        const taken = byKey.get(key) ?? []
        share.service += taken.length
        share.behind = taken.at(-1)?.from ?? share.behind
        const [free, inMs, startMs] = state?.keys[key] ?? [Infinity, null, null]
        if (state === null || at >= last || (isFull && work.length === 0)) open(share)
        else if (free - taken.length <= 0) {
          const opensInMs = taken.length > 0 ? startMs : inMs
          if ((opensInMs ?? 0) > FAR_MS) forget(share)
          else close(share, opensInMs)
        } else if (taken.length < Math.min(take, free)) {
          forget(share)
          if (taken.length > 0) remember(share)
        } else open(share)
      }
    },
    release(asked) {
      for (const { key } of asked) {
        const share = shares.get(key)
        if (share !== undefined) open(share)
      }
    },
    ended(key) {
      const share = shares.get(key)
      if (share?.state === 'closed' && share.opensAt === Infinity) open(share)
    },
    refresh(hasNews = false) {
      for (const share of shares.values()) share.behind = null
      openDue(true)
      if (hasNews || performance.now() >= vainUntil) this.seek()
    },
    hasOpen: () => queue.size() > 0,
    mayFind: () => passes > 0,
    hasFull: () => full > 0,
    waitMs() {
      const at = Math.min(nextOpenAt, passes > 0 ? restsUntil : Infinity)
      return at === Infinity ? null : Math.max(0, at - performance.now())
    },
  }
}

const closedOf = ({ state }: Share) => Number(state === 'closed')

/** Shares by their service, the least first: a binary heap. Taken and removed shares are skipped when they come up. */
function createQueueByService() {
  let heap: { share: Share; service: number }[] = []
  const current = new Map<Share, { share: Share; service: number }>()

  const isBefore = (a: number, b: number) =>
    (heap[a] as { service: number }).service < (heap[b] as { service: number }).service

  function swap(a: number, b: number): void {
    const [one, other] = [heap[a], heap[b]]
    heap[a] = other as (typeof heap)[number]
    heap[b] = one as (typeof heap)[number]
  }

  function pop(): { share: Share; service: number } | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    heap[0] = last
    for (let at = 0; ;) {
      const left = 2 * at + 1
      let least = at
      for (const child of [left, left + 1])
        if (child < heap.length && isBefore(child, least)) least = child
      if (least === at) return first
      swap(at, least)
      at = least
    }
  }

  return {
    size: () => current.size,
    add(share: Share): void {
      const entry = { share, service: share.service }
      current.set(share, entry)
      heap.push(entry)
      for (let at = heap.length - 1; at > 0;) {
        const parent = (at - 1) >> 1
        if (!isBefore(at, parent)) break
        swap(at, parent)
        at = parent
      }
      // Many removed shares may still be in the heap.
      if (heap.length > 2 * current.size + 1_000) {
        heap = [...current.values()].toSorted((a, b) => a.service - b.service)
      }
    },
    remove: (share: Share): void => void current.delete(share),
    take(): Share | undefined {
      for (;;) {
        const entry = pop()
        if (entry === undefined) return undefined
        if (current.get(entry.share) !== entry) continue
        current.delete(entry.share)
        return entry.share
      }
    },
  }
}
