/*
 * Where a worker begins to look for a job's work, so that it passes over what it has dealt with, and nothing else.
 *
 * Work has a place from a sequence, and claims take it in that order. A claim that follows another begins behind the last
 * place taken, its hint. It passes over work that it could not see: of a transaction that had not committed, or locked by a
 * claim that was rolled back. So others begin at the floor, below which there is no work and never will be. The floor moves
 * to the hint that an earlier look knew (the mark) once no transaction can hide work from it any more:
 *
 *   1. A transaction has its id before it takes a place (store/place.ts), and a look gets its id after the places that its
 *      worker knows have been taken. So whoever holds a place up to the mark has a smaller id than the look that made it. The
 *      id of the claim would not do: a claim may have it before it sees work, which is enqueued or changed meanwhile.
 *   2. Once a later look's xmin is above that id, all of them have ended, and its snapshot shows what they left.
 *   3. What that snapshot still shows up to the mark is locked by other claims, which may be rolled back: the floor stays below
 *      the first of it.
 *
 * Retried work, and delayed work that has become due, get a new place by the same rule. Nothing else changes a place.
 */

/** What a worker remembers of one job's work of one rank. */
export interface Floor {
  /** No work is at this place or before it, nor will be. */
  readonly floor: bigint
  /** Where the last claim of this worker has ended. */
  readonly hint: bigint
  /** The hint to which the floor moves next, and the id of the look that knew it. */
  readonly mark: { readonly place: bigint; readonly transaction: bigint } | null
}

export const FROM_THE_START: Floor = { floor: 0n, hint: 0n, mark: null }

/**
 * A claim has committed that took work up to `place`. Earlier ones may have come further: then much has committed late, and the
 * next claim goes on with that.
 */
export function noteClaim(before: Floor, place: bigint): Floor {
  return { ...before, hint: place }
}

/** What one snapshot shows. */
export interface Look {
  readonly xmin: bigint
  /** The first place behind the floor at which there is work. */
  readonly first: bigint | null
  /** The hint when the look was sent. */
  readonly hint: bigint
  /** The id of its own transaction; null when it has none, and makes no mark. */
  readonly transaction: bigint | null
}

/** Moves the floor as far as a look allows. */
export function moveFloor(before: Floor, { xmin, first, hint, transaction }: Look): Floor {
  let { floor, mark } = before
  if (mark !== null && xmin > mark.transaction) {
    const reached = first === null || first > mark.place ? mark.place : first - 1n
    if (reached > floor) floor = reached
    if (reached === mark.place) mark = null
  }
  // A mark stays until the floor has reached it: under a steady load a later one would never be old enough.
  if (mark === null && hint > floor && transaction !== null) mark = { place: hint, transaction }
  return { ...before, floor, mark }
}
