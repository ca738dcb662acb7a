import { FROM_THE_START, moveFloor, noteClaim, type Floor } from './floor.ts'
import type { Behind, TakenWork } from '../store/claimWork.ts'
import type { LookRequest, Seen } from '../store/looks.ts'

/** Where this worker begins to look for the work of each job, by rank: see floor.ts. */
export interface Floors {
  /** Where a claim begins: behind what this worker's claims have taken, or at the floor, below which there is nothing. */
  behind(name: string, from: 'hint' | 'floor'): Behind[]
  /** A claim has committed that took this work of the job, in the order of places. */
  note(name: string, work: readonly Pick<TakenWork, 'from'>[]): void
  /** Where a look begins. `move` gets it back with what the look has seen: by rank, the place of the first work behind the floor. */
  look(name: string): LookRequest
  move(
    request: LookRequest,
    seen: Pick<Seen, 'xmin' | 'transaction'>,
    firsts: ReadonlyMap<number, string | null>,
  ): void
  /**
   * Claims begin at the start again. After a fail-over the sequence of places may have gone back; and what else no
   * reasoning foresaw waits no longer than until the next call.
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
      const last = new Map(work.flatMap(({ from }) => (from ? [[from.rank, from.place]] : [])))
      for (const [rank, place] of last) {
        const before = ranks.get(rank) ?? FROM_THE_START
        ranks.delete(rank)
        ranks.set(rank, noteClaim(before, BigInt(place)))
      }
      for (const rank of [...ranks.keys()].slice(0, Math.max(0, ranks.size - MAX_RANKS)))
        ranks.delete(rank)
    },
    look: (name) => ({
      name,
      behind: [...(jobs.get(name) ?? [])].map(([rank, { hint, floor }]) => ({
        rank,
        place: String(floor),
        hint: String(hint > floor ? hint : floor),
      })),
    }),
    move({ name, behind }, { xmin, transaction }, firsts) {
      const ranks = jobs.get(name)
      for (const { rank, hint } of behind) {
        const before = ranks?.get(rank)
        if (before === undefined) continue
        const first = firsts.get(rank) ?? null
        const look = {
          xmin: BigInt(xmin),
          first: first === null ? null : BigInt(first),
          hint: BigInt(hint),
          transaction: transaction === null ? null : BigInt(transaction),
        }
        ranks?.set(rank, moveFloor(before, look))
      }
    },
    forget: () => jobs.clear(),
  }
}
