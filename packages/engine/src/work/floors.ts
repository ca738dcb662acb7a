import { FROM_THE_START, moveFloor, noteClaim, type Floor } from './floor.ts'
import type { Behind, TakenWork } from '../store/claimWork.ts'

/** Where this worker begins to look for the work of each job, by rank: see floor.ts. */
export interface Floors {
  /** Where a claim begins: behind what this worker's claims have taken, or at the floor, below which there is nothing. */
  behind(name: string, from: 'hint' | 'floor'): Behind[]
  /** A claim has committed in this transaction that took this work of the job. */
  note(name: string, work: readonly Pick<TakenWork, 'from'>[], transaction: string): void
  /** A snapshot with this xmin shows the first work behind each floor of the job; null where it shows none. */
  move(name: string, xmin: string, firsts: ReadonlyMap<number, string | null>): void
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
        place: String(from === 'hint' && hint.place > floor ? hint.place : floor),
      })),
    note(name, work, transaction) {
      const ranks = jobs.get(name) ?? new Map<number, Floor>()
      jobs.set(name, ranks)
      const last = new Map<number, bigint>()
      for (const { from } of work) {
        if (from === undefined) continue
        const place = BigInt(from.place)
        if (place > (last.get(from.rank) ?? -1n)) last.set(from.rank, place)
      }
      for (const [rank, place] of last) {
        const before = ranks.get(rank) ?? FROM_THE_START
        ranks.delete(rank)
        ranks.set(rank, noteClaim(before, { place, transaction: BigInt(transaction) }))
      }
      for (const rank of [...ranks.keys()].slice(0, Math.max(0, ranks.size - MAX_RANKS)))
        ranks.delete(rank)
    },
    move(name, xmin, firsts) {
      const ranks = jobs.get(name)
      for (const [rank, first] of firsts) {
        const before = ranks?.get(rank)
        if (before === undefined) continue
        const look = { xmin: BigInt(xmin), first: first === null ? null : BigInt(first) }
        ranks?.set(rank, moveFloor(before, look))
      }
    },
    forget: () => jobs.clear(),
  }
}
