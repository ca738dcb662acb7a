import type { Behind, Taken } from '../queue/taken.ts'
import type { LookRequest, Seen } from '../queue/looks.ts'

/*
 * Where a worker begins to look for a job's work, so that it skips exactly the work that it has dealt with.
 *
 * Work has a place from a sequence, and claims take it in that order. A claim that follows another begins behind the last
 * place taken, its hint. It passes over work that it could not see: of a transaction that had not committed, or locked by a
 * claim that was rolled back. So others begin at the floor, below which there is no work and never will be. The floor moves
 * to the hint that an earlier look knew (the mark) once no transaction can hide work from it any more:
 *
 *   1. A transaction has its id before it takes a place (queue/place.ts), and a look gets its id after the places that its
 *      worker knows have been taken. So a transaction with a place up to the mark has a smaller id than the look that made the mark.
 *      The id of the claim would not do: a claim may have it before it sees work, which is enqueued or changed meanwhile.
 *   2. Once a later look's xmin is above that id, all of them have ended, and its snapshot shows what they left. A host's
 *      transaction that stays open holds xmin back. Only one that writes to JobWork can have a place: it locks the table before it
 *      takes the place, and until it ends. So a look that is held up also reads those locks. Once no transaction with a smaller
 *      id has one, the next look's snapshot shows what they left. The same look's snapshot would not do: it is older than what
 *      the look reads of locks.
 *   3. What that snapshot still shows up to the mark is locked by other claims, which may be rolled back: the floor stays below
 *      the first of it.
 *
 * Retried work, and delayed work that has become due, get a new place by the same rule. Nothing else changes a place.
 */

/** The floor of one job's work of one rank. */
interface Floor {
  /** No work is at this place or before it, nor will be. */
  floor: bigint
  /**
   * Where the last claim of this worker has ended. Earlier ones may have come further: then much has committed late, and the next
   * claim goes on with that.
   */
  hint: bigint
  /**
   * The hint to which the floor moves next, and the id of the look that knew it. `areWritersGone`: an earlier look found that all
   * transactions have ended that may have a place up to it.
   */
  mark: { place: bigint; transaction: bigint; areWritersGone: boolean } | null
  /** The last look's xmin was not above the mark's id. */
  isHeldUp: boolean
}

/** Where this worker begins to look for the work of each job, by rank. */
export interface Floors {
  /** Where a claim begins: behind what this worker's claims have taken, or at the floor, below which there is nothing. */
  behind(name: string, from: 'hint' | 'floor'): Behind[]
  /** A claim has committed that took this work of the job, in the order of places. */
  note(name: string, work: readonly Pick<Taken, 'from'>[]): void
  /** Where a look begins. `move` gets it back with what the look has seen: by rank, the place of the first work behind the floor. */
  look(name: string): LookRequest
  move(
    request: LookRequest,
    seen: Pick<Seen, 'xmin' | 'transaction' | 'oldestWriter'>,
    firsts: ReadonlyMap<number, string | null>,
  ): void
  /**
   * Claims begin at the start again. After a fail-over the sequence of places may have gone back. Work that a floor wrongly
   * passed for any other reason waits only until the next call.
   */
  forget(): void
}

/** Of a job with more ranks, those are forgotten that were taken from longest ago: claims begin at their start again. */
const MAX_RANKS = 16

export function createFloors(): Floors {
  const jobs = new Map<string, Map<number, Floor>>()
  return {
    behind: (name, from) =>
      [...(jobs.get(name) ?? [])].map(([rank, { hint, floor }]) => ({
        rank,
        place: String(from === 'hint' && hint > floor ? hint : floor),
      })),
    note(name, work) {
      const ranks = jobs.get(name) ?? new Map<number, Floor>()
      jobs.set(name, ranks)
      const last = new Map<number, string>()
      for (const { from } of work) if (from) last.set(from.rank, from.place)
      for (const [rank, place] of last) {
        const before = ranks.get(rank) ?? { floor: 0n, mark: null, isHeldUp: false }
        ranks.delete(rank)
        ranks.set(rank, { ...before, hint: BigInt(place) })
      }
      for (const rank of [...ranks.keys()].slice(0, Math.max(0, ranks.size - MAX_RANKS)))
        ranks.delete(rank)
    },
    look: (name) => ({
      name,
      isHeldUp: [...(jobs.get(name)?.values() ?? [])].some(({ isHeldUp }) => isHeldUp),
      behind: [...(jobs.get(name) ?? [])].map(([rank, { hint, floor }]) => ({
        rank,
        place: String(floor),
        hint: String(hint > floor ? hint : floor),
      })),
    }),
    move({ name, behind }, { xmin, transaction, oldestWriter }, firsts) {
      for (const { rank, hint } of behind) {
        const known = jobs.get(name)?.get(rank)
        if (known === undefined) continue
        const { mark } = known
        known.isHeldUp = mark !== null && BigInt(xmin) <= mark.transaction
        if (mark !== null && (mark.areWritersGone || !known.isHeldUp)) {
          const first = firsts.get(rank) ?? null
          const reached =
            first === null || BigInt(first) > mark.place ? mark.place : BigInt(first) - 1n
          if (reached > known.floor) known.floor = reached
          if (reached === mark.place) known.mark = null
        }
        // A mark stays until the floor has reached it: under a steady load a later one would never be old enough.
        if (known.mark === null && BigInt(hint) > known.floor && transaction !== null)
          known.mark = {
            place: BigInt(hint),
            transaction: BigInt(transaction),
            areWritersGone: false,
          }
        if (known.mark !== null && oldestWriter !== null)
          known.mark.areWritersGone ||= BigInt(oldestWriter) > known.mark.transaction
      }
    },
    forget: () => jobs.clear(),
  }
}
