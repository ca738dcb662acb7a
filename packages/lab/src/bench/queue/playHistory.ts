import { createRandom } from '../../chaos/createRandom.ts'
import { FROM_THE_START, moveFloor, noteClaim, type Floor, type Look } from './floor.ts'

/*
 * A model of what PostgreSQL does with work: transactions that get an id, take places, insert, and end in any order, and
 * snapshots that show of them what PostgreSQL's would. Workers claim and look in between, step by step. Whether the rule in
 * floor.ts strands a piece of work, thousands of drawn histories tell within seconds.
 */

/** A rule broken on purpose: a generator that finds no stranded piece then would prove nothing. */
export const BROKEN_RULES = [
  'placeBeforeTransaction',
  'markBySnapshot',
  'passesWhatIsLocked',
  'xminAfterFirst',
  'floorAtHint',
] as const
type Broken = (typeof BROKEN_RULES)[number]

interface Transaction {
  id: bigint
  state: 'open' | 'committed' | 'aborted'
}

interface Row {
  place: bigint
  insertedBy: Transaction
  /** Locked or deleted by it, which is the same to others. */
  takenBy: Transaction | null
}

interface Snapshot {
  xmin: bigint
  shows: (transaction: Transaction) => boolean
}

/** Something that goes on in steps; others' steps come in between. It returns at its end. */
type Process = Generator<void, void>

/** Places of work that nobody would take any more, that a floor has passed over, and that was taken twice. */
interface Played {
  stranded: bigint[]
  /** Another worker whose floor is lower may still take it. */
  passedOver: bigint[]
  doubled: bigint[]
  taken: number
}

const WORKERS = 3
/** Claims and looks under way. */
const MAX_OPEN = 3

/** Plays so many drawn histories, and tells of how many the rule has stranded, passed over or doubled work. */
export function playHistories(
  seed: number,
  count: number,
  broken: Broken | null = null,
): { wrong: number; taken: number } {
  const random = createRandom(seed)
  let wrong = 0
  let taken = 0
  for (let played = 0; played < count; played++) {
    const choices = Array.from({ length: random.integer(100, 300) }, () =>
      random.integer(0, 2 ** 31),
    )
    const history = playHistory(choices, broken)
    taken += history.taken
    if (history.stranded.length + history.passedOver.length + history.doubled.length > 0) wrong++
  }
  return { wrong, taken }
}

/** Plays a history: each number decides which process goes on, what begins, and how it ends. */
function playHistory(choices: readonly number[], broken: Broken | null = null): Played {
  let nextTransaction = 1n
  let latestEnded = 0n
  let nextPlace = 1n
  const transactions: Transaction[] = []
  const rows: Row[] = []
  const taken = new Map<bigint, number>()
  let at = 0
  const choose = (below: number) => (choices[at++ % choices.length] ?? 0) % below

  function begin(): Transaction {
    const transaction: Transaction = { id: nextTransaction++, state: 'open' }
    transactions.push(transaction)
    return transaction
  }

  function end(transaction: Transaction, state: 'committed' | 'aborted'): void {
    transaction.state = state
    if (transaction.id > latestEnded) latestEnded = transaction.id
  }

  /** As GetSnapshotData does: what has an id behind the latest ended one is not counted as open, and not shown either. */
  function takeSnapshot(): Snapshot & { xmax: bigint } {
    const xmax = latestEnded + 1n
    const open = new Set(
      transactions.filter(({ id, state }) => state === 'open' && id < xmax).map(({ id }) => id),
    )
    const ended = new Set(transactions.filter(({ state }) => state === 'committed'))
    const xmin = [...open].reduce((least, id) => (id < least ? id : least), xmax)
    return { xmin, xmax, shows: (transaction) => ended.has(transaction) }
  }

  const isShown = ({ shows }: Snapshot, { insertedBy, takenBy }: Row) =>
    shows(insertedBy) && !(takenBy !== null && shows(takenBy))

  const isFree = ({ takenBy }: Row) => takenBy === null || takenBy.state === 'aborted'

  /** Enqueues, retries, or gives places to what is due: all insert a row with a new place. */
  function* enqueue(): Process {
    let transaction: Transaction | null = null
    const pieces = 1 + choose(3)
    for (let piece = 0; piece < pieces; piece++) {
      let place: bigint
      if (broken === 'placeBeforeTransaction') {
        place = nextPlace++
        yield
        transaction ??= begin()
      } else {
        transaction ??= begin()
        yield
        place = nextPlace++
      }
      yield
      rows.push({ place, insertedBy: transaction, takenBy: null })
      rows.sort((one, other) => Number(one.place - other.place))
      yield
    }
    if (transaction) end(transaction, choose(5) === 0 ? 'aborted' : 'committed')
  }

  const floors: Floor[] = Array.from({ length: WORKERS }, () => FROM_THE_START)

  function* claim(worker: number, from: 'hint' | 'floor', mayFail: boolean): Process {
    const before = floors[worker] as Floor
    const behind = from === 'hint' || broken === 'floorAtHint' ? before.hint.place : before.floor
    const limit = 1 + choose(4)
    const snapshot = takeSnapshot()
    const found = rows.filter((row) => row.place > behind && isShown(snapshot, row))
    let transaction: Transaction | null = null
    const mine: Row[] = []
    for (const row of found) {
      if (mine.length === limit) break
      yield
      if (!isFree(row)) continue
      transaction ??= begin()
      row.takenBy = transaction
      mine.push(row)
    }
    yield
    if (transaction === null) return
    if (mayFail && choose(4) === 0) {
      end(transaction, 'aborted')
      return
    }
    end(transaction, 'committed')
    for (const { place } of mine) taken.set(place, (taken.get(place) ?? 0) + 1)
    const last = mine.reduce((most, { place }) => (place > most ? place : most), 0n)
    // The answer comes later, after whatever others do meanwhile.
    yield
    const id = broken === 'markBySnapshot' ? snapshot.xmax - 1n : transaction.id
    floors[worker] = noteClaim(floors[worker] as Floor, { place: last, transaction: id })
  }

  const looking = new Set<number>()
  const passedOver = new Set<bigint>()

  function* look(worker: number): Process {
    if (looking.has(worker)) return
    looking.add(worker)
    const { floor } = floors[worker] as Floor
    const snapshot = takeSnapshot()
    const first = rows.find((row) => row.place > floor && isShown(snapshot, row))?.place ?? null
    yield
    const answer: Look = {
      xmin: broken === 'xminAfterFirst' ? takeSnapshot().xmin : snapshot.xmin,
      first: broken === 'passesWhatIsLocked' ? null : first,
    }
    yield
    const moved = moveFloor(floors[worker] as Floor, answer)
    floors[worker] = moved
    for (const { place, insertedBy, takenBy } of rows)
      if (place <= moved.floor && insertedBy.state !== 'aborted' && takenBy?.state !== 'committed')
        passedOver.add(place)
    looking.delete(worker)
  }

  // Producers linger and workers hurry: what hides a piece of work is mostly a transaction that outlives several looks.
  const producers: Process[] = []
  const workers: Process[] = []
  const advance = (processes: Process[], index: number) => {
    if (processes[index]?.next().done === true) processes.splice(index, 1)
  }
  for (let step = 0; step < choices.length; step++) {
    const worker = choose(WORKERS)
    switch (choose(8)) {
      case 0:
        if (producers.length < 3) producers.push(enqueue())
        break
      case 1:
        if (producers.length > 0) advance(producers, choose(producers.length))
        break
      case 2:
        if (workers.length < MAX_OPEN)
          workers.push(claim(worker, choose(3) === 0 ? 'floor' : 'hint', true))
        break
      case 3:
        if (workers.length < MAX_OPEN) workers.push(look(worker))
        break
      default:
        if (workers.length > 0) advance(workers, choose(workers.length))
    }
  }
  for (const processes of [workers, producers]) while (processes.length > 0) advance(processes, 0)
  // From now on nobody fails: what is left after this, nobody would ever take.
  for (let round = 0; round < 2 + rows.length; round++) {
    for (let worker = 0; worker < WORKERS; worker++) {
      for (const process of [claim(worker, 'floor', false), look(worker)])
        while (process.next().done !== true);
    }
  }
  const left = rows.filter((row) => row.insertedBy.state === 'committed' && isFree(row))
  return {
    stranded: left.map(({ place }) => place),
    passedOver: [...passedOver],
    doubled: [...taken].filter(([, times]) => times > 1).map(([place]) => place),
    taken: taken.size,
  }
}
