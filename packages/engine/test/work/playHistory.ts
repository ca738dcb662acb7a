import { toRanges } from '../../src/queue/claimWork.ts'
import type { Behind } from '../../src/queue/taken.ts'
import { createFloors } from '../../src/work/floors.ts'

/*
 * A model of what PostgreSQL does with work: transactions that get an id, take places, write, and end in any order, and
 * snapshots that show of them what PostgreSQL's would. Hosts write to their own tables, producers enqueue for now and for later, people give work another
 * priority, and workers claim, look, and have work tried again, step by step, beside each other. The workers remember where to
 * begin by createFloors.
 */

/** A rule broken on purpose: a generator that finds no stranded piece then would prove nothing. */
export const BROKEN_RULES = [
  'placeBeforeTransaction',
  'keepsPlace',
  'markByClaim',
  'hintOfAnswer',
  'passesWhatIsLocked',
  'xminAfterFirst',
  'floorAtHint',
  'knownRanksOnly',
  'ignoresWriters',
  'locksOfSameLook',
] as const
type Broken = (typeof BROKEN_RULES)[number]

interface Transaction {
  id: bigint
  state: 'open' | 'committed' | 'aborted'
  /** Whether it has locked JobWork to write there. It does so before it takes a place. */
  isWriter: boolean
}

/** A version of the row of a piece of work. */
interface Row {
  work: number
  attempt: number
  rank: number
  /** Null: it is due, and has none yet. */
  place: bigint | null
  insertedBy: Transaction
  /** Locked, changed or deleted by it, which is the same to others. */
  takenBy: Transaction | null
  /** What it was changed to. */
  next: Row | null
}

interface Snapshot {
  xmin: bigint
  shows: (transaction: Transaction) => boolean
}

/** Something that goes on in steps; others' steps come in between. It returns at its end. */
type Process = Generator<void, void>

interface Played {
  /** Work that nobody would take any more. */
  stranded: number[]
  /** Work below a floor: another worker whose floor is lower may still take it. */
  passedOver: number[]
  /** Attempts that were begun twice. */
  doubled: string[]
  begun: number
}

const NAME = 'parcel'
const WORKERS = 3
/** What goes on at once. */
const MAX_OPEN = 7
/** More than a worker remembers. Most histories have one or two. */
const RANKS = 20

/** Plays a history: each number decides which process goes on, what begins, and how it ends. */
export function playHistory(choices: readonly number[], broken: Broken | null = null): Played {
  let nextTransaction = 1n
  let latestEnded = 0n
  let nextPlace = 1n
  let works = 0
  const transactions: Transaction[] = []
  const rows: Row[] = []
  const begun = new Map<string, number>()
  const failed: Row[] = []
  let at = 0
  const choose = (below: number) => (choices[at++ % choices.length] ?? 0) % below

  function begin(): Transaction {
    const transaction: Transaction = { id: nextTransaction++, state: 'open', isWriter: false }
    transactions.push(transaction)
    return transaction
  }

  function end(transaction: Transaction, state: 'committed' | 'aborted'): void {
    transaction.state = state
    if (transaction.id > latestEnded) latestEnded = transaction.id
  }

  /** As GetSnapshotData does: what has an id behind the latest ended one is not counted as open, and not shown either. */
  function takeSnapshot(): Snapshot {
    const xmax = latestEnded + 1n
    const open = transactions.filter(({ id, state }) => state === 'open' && id < xmax)
    const ended = new Set(transactions.filter(({ state }) => state === 'committed'))
    const xmin = open.reduce((least, { id }) => (id < least ? id : least), xmax)
    return { xmin, shows: (transaction) => ended.has(transaction) }
  }

  const isShown = ({ shows }: Snapshot, { insertedBy, takenBy }: Row) =>
    shows(insertedBy) && !(takenBy !== null && shows(takenBy))
  const isFree = ({ takenBy }: Row) => takenBy === null || takenBy.state === 'aborted'
  const isThere = (row: Row) => row.insertedBy.state === 'committed' && isFree(row)

  const ranks = [1, 1, 1, 2, 2, RANKS][choose(6)] as number
  const chooseRank = () => choose(ranks)
  const isLimited = choose(2) === 0

  type NewRow = Pick<Row, 'work' | 'attempt' | 'rank'>

  function* insert(
    transaction: () => Transaction,
    row: NewRow,
    isDelayed = false,
  ): Generator<void, Row> {
    let place: bigint | null = null
    if (!isDelayed && broken === 'placeBeforeTransaction') {
      place = nextPlace++
      yield
    }
    const insertedBy = transaction()
    insertedBy.isWriter = true
    yield
    if (!isDelayed) place ??= nextPlace++
    yield
    const inserted: Row = { ...row, place, insertedBy, takenBy: null, next: null }
    rows.push(inserted)
    return inserted
  }

  /** A host writes to tables of its own, for as long as it likes. */
  function* writeElsewhere(): Process {
    const transaction = begin()
    for (let step = choose(60); step > 0; step--) yield
    end(transaction, 'committed')
  }

  function* enqueue(): Process {
    let transaction: Transaction | null = null
    const pieces = 1 + choose(3)
    for (let piece = 0; piece < pieces; piece++) {
      const row = { work: ++works, attempt: 1, rank: chooseRank() }
      yield* insert(() => (transaction ??= begin()), row, choose(4) === 0)
      yield
    }
    if (transaction) end(transaction, choose(5) === 0 ? 'aborted' : 'committed')
  }

  /** Has work tried again; where that is rolled back, another time. */
  function* retry({ work, attempt, rank }: Row): Process {
    for (;;) {
      const transaction = begin()
      yield* insert(() => transaction, { work, attempt: attempt + 1, rank }, choose(2) === 0)
      yield
      if (choose(4) > 0) return end(transaction, 'committed')
      end(transaction, 'aborted')
    }
  }

  /** Replaces a row by one of another rank, or by one with a place. */
  function* change(row: Row, transaction: Transaction, rank: number): Process {
    row.takenBy = transaction
    row.next = null
    if (broken === 'keepsPlace' && row.place !== null) {
      row.next = { ...row, rank, insertedBy: transaction, takenBy: null, next: null }
      rows.push(row.next)
      return
    }
    row.next = yield* insert(() => transaction, { ...row, rank })
  }

  function* prioritise(): Process {
    const waiting = rows.filter((row) => isThere(row) && row.place !== null)
    const row = waiting[choose(Math.max(1, waiting.length))]
    if (row === undefined) return
    const transaction = begin()
    yield
    if (isThere(row)) yield* change(row, transaction, chooseRank())
    yield
    end(transaction, choose(4) === 0 ? 'aborted' : 'committed')
  }

  const workers = Array.from({ length: WORKERS }, () => ({
    floors: createFloors(),
    lastClaim: 0n,
    isLooking: false,
  }))
  type Worker = (typeof workers)[number]

  /** As FOR UPDATE SKIP LOCKED does: of a row that was changed since the snapshot it takes the newest version, where that still matches. */
  function lock(row: Row, transaction: Transaction, matches: (row: Row) => boolean): Row | null {
    let newest = row
    while (newest.takenBy?.state === 'committed' && newest.next !== null) newest = newest.next
    if (!isThere(newest) || !matches(newest)) return null
    newest.takenBy = transaction
    newest.next = null
    return newest
  }

  function* claim(worker: Worker, from: 'hint' | 'floor', mayFail: boolean): Process {
    const { floors } = worker
    const behind = floors.behind(NAME, broken === 'floorAtHint' ? 'hint' : from)
    const ranges = toRanges({ behind }, 0).filter(
      ({ rank, end: last }) => broken !== 'knownRanksOnly' || behind.length === 0 || rank === last,
    )
    const limit = 1 + choose(4)
    // A rate limit is locked before, and gives the transaction its id.
    let transaction = isLimited ? begin() : null
    if (transaction) yield
    const snapshot = takeSnapshot()
    const mine: Row[] = []
    for (const range of ranges) {
      const matches = ({ rank, place }: Row) =>
        place !== null &&
        rank <= range.end &&
        (rank > range.rank || (rank === range.rank && place > BigInt(range.place)))
      const found = rows.filter((row) => matches(row) && isShown(snapshot, row)).toSorted(inOrder)
      for (const row of found) {
        if (mine.length === limit) break
        yield
        if (row.takenBy?.state === 'open') continue
        transaction ??= begin()
        const locked = lock(row, transaction, matches)
        if (locked !== null) mine.push(locked)
      }
    }
    yield
    if (transaction === null) return
    if (mayFail && choose(4) === 0) {
      end(transaction, 'aborted')
      return
    }
    end(transaction, 'committed')
    for (const row of mine) {
      const attempt = `${row.work} ${row.attempt}`
      begun.set(attempt, (begun.get(attempt) ?? 0) + 1)
      if (mayFail && choose(4) === 0) failed.push(row)
    }
    // The answer comes later, after whatever others do meanwhile.
    yield
    const froms: Behind[] = mine.map(({ rank, place }) => ({ rank, place: String(place) }))
    floors.note(
      NAME,
      froms.map((one) => ({ from: one })),
    )
    worker.lastClaim = transaction.id
  }

  const passedOver = new Set<number>()

  function* look(worker: Worker): Process {
    if (worker.isLooking) return
    worker.isLooking = true
    const { floors } = worker
    let request = floors.look(NAME)
    const snapshot = takeSnapshot()
    const firsts = new Map(
      request.behind.map(({ rank, place }) => {
        const isBehind = (row: Row) =>
          row.rank === rank && row.place !== null && row.place > BigInt(place)
        const [first] = rows
          .filter((row) => isBehind(row) && isShown(snapshot, row))
          .toSorted(inOrder)
        const isTold = first !== undefined && broken !== 'passesWhatIsLocked'
        return [rank, isTold ? String(first.place) : null] as const
      }),
    )
    yield
    const isMarking =
      request.isHeldUp === true || request.behind.some(({ place, hint }) => place !== hint)
    let transaction = isMarking ? begin() : null
    if (request.isHeldUp === true) yield
    const writers = transactions.filter(
      ({ state, isWriter }) => state === 'open' && isWriter && broken !== 'ignoresWriters',
    )
    const ownId = transaction?.id ?? 0n
    const oldest = writers.reduce((least, { id }) => (id < least ? id : least), ownId + 1n)
    const oldestWriter = request.isHeldUp === true ? String(oldest) : null
    const due = rows.filter((row) => row.place === null && isShown(snapshot, row))
    for (const row of due) {
      yield
      if (!isThere(row)) continue
      transaction ??= begin()
      yield* change(row, transaction, row.rank)
    }
    yield
    if (transaction) end(transaction, 'committed')
    yield
    const id = broken === 'markByClaim' ? worker.lastClaim : transaction?.id
    let xmin = broken === 'xminAfterFirst' ? takeSnapshot().xmin : snapshot.xmin
    if (broken === 'locksOfSameLook' && oldestWriter !== null) xmin = oldest
    if (broken === 'hintOfAnswer') request = floors.look(NAME)
    const seen = { xmin: String(xmin), transaction: isMarking ? String(id) : null, oldestWriter }
    floors.move(request, seen, firsts)
    for (const { rank, place } of floors.behind(NAME, 'floor'))
      for (const row of rows)
        if (
          row.rank === rank &&
          row.place !== null &&
          row.place <= BigInt(place) &&
          row.insertedBy.state !== 'aborted' &&
          row.takenBy?.state !== 'committed'
        )
          passedOver.add(row.work)
    worker.isLooking = false
  }

  function start(worker: Worker): Process {
    const row = failed.shift()
    if (row !== undefined) return retry(row)
    const kind = choose(9)
    if (kind === 8) return writeElsewhere()
    if (kind < 2) return enqueue()
    if (kind === 2) return prioritise()
    return kind < 6 ? claim(worker, choose(3) === 0 ? 'floor' : 'hint', true) : look(worker)
  }

  // What hides a piece of work is mostly a transaction that outlives several looks: some linger at a step, and the rest hurry.
  const open: { process: Process; wakesAt: number }[] = []
  for (let step = 0; step < choices.length; step++) {
    if (open.length < MAX_OPEN && choose(2) === 0) {
      open.push({ process: start(workers[choose(WORKERS)] as Worker), wakesAt: 0 })
    }
    const ready = open.filter(({ wakesAt }) => wakesAt <= step)
    const one = ready[choose(Math.max(1, ready.length))]
    if (one === undefined) continue
    if (one.process.next().done === true) open.splice(open.indexOf(one), 1)
    else if (choose(8) === 0) one.wakesAt = step + choose(80)
  }
  while (open.length > 0) if (open[0]?.process.next().done === true) open.shift()
  // From now on nobody fails: what is left after this, nobody would ever take.
  for (let round = 0; round < 3 + rows.length; round++) {
    for (const worker of workers)
      for (const process of [look(worker), claim(worker, 'floor', false)])
        while (process.next().done !== true);
    if (!rows.some(isThere)) break
  }
  return {
    stranded: rows.filter(isThere).map(({ work }) => work),
    passedOver: [...passedOver],
    doubled: [...begun].filter(([, times]) => times > 1).map(([attempt]) => attempt),
    begun: begun.size,
  }
}

function inOrder(one: Row, other: Row): number {
  return one.rank - other.rank || Number((one.place ?? 0n) - (other.place ?? 0n))
}
