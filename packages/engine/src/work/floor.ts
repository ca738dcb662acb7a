/*
 * Where a worker begins to look for a job's work, so that it passes over what it has dealt with, and nothing else.
 *
 * Work has a place from a sequence, and claims take it in that order. A claim that follows another begins behind the last
 * place taken, its hint. It passes over work that it could not see: of a transaction that had not committed, or locked by a
 * claim that was rolled back. So others begin at the floor, below which there is no work and never will be. The floor moves
 * to the hint of an earlier claim (the mark) once no transaction can hide work from it any more:
 *
 *   1. A transaction has its id before it takes a place (store/place.ts), and a claim gets its id after it has seen the work that
 *      it takes. So whoever holds a place up to the hint has a smaller id than that claim.
 *   2. Once a snapshot's xmin is above that id, all of them have ended, and the snapshot shows what they left.
 *   3. What the same snapshot still shows below the hint is locked by other claims, which may be rolled back: the floor stays
 *      below the first of it.
 *
 * Retried work, and delayed work that has become due, get a new place by the same rule. Nothing else changes a place.
 */

/** What a worker remembers of one job's work of one rank. */
export interface Floor {
  /** No work is at this place or before it, nor will be. */
  readonly floor: bigint
  /** How far this worker's claims have come, and the id of the last of them. */
  readonly hint: Mark
  /** The hint to which the floor moves next. */
  readonly mark: Mark | null
}

interface Mark {
  readonly place: bigint
  readonly transaction: bigint
}

export const FROM_THE_START: Floor = {
  floor: 0n,
  hint: { place: 0n, transaction: 0n },
  mark: null,
}

/** A claim has committed that took work up to `place`. */
export function noteClaim(before: Floor, { place, transaction }: Mark): Floor {
  const { hint, mark } = before
  const later = {
    place: place > hint.place ? place : hint.place,
    transaction: transaction > hint.transaction ? transaction : hint.transaction,
  }
  // A mark stays until the floor has reached it: under a steady load a later one would never be old enough.
  return { ...before, hint: later, mark: mark ?? later }
}

/** What one snapshot shows: its xmin, and the first place behind the floor at which there is work. */
export interface Look {
  readonly xmin: bigint
  readonly first: bigint | null
}

/** Moves the floor as far as a look allows. */
export function moveFloor(before: Floor, { xmin, first }: Look): Floor {
  const { floor, hint, mark } = before
  if (mark === null || xmin <= mark.transaction) return before
  const reached = first === null || first > mark.place ? mark.place : first - 1n
  const isDone = reached >= mark.place
  const next = isDone ? (hint.place > mark.place ? hint : null) : mark
  return { ...before, floor: reached > floor ? reached : floor, mark: next }
}
