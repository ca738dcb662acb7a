import type { Counts } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import type { Sql } from './sql.ts'

/** Which rows a job takes away, and how it finds them: what `worker:check` asks the database about. */
export interface SweptRows {
  readonly table: string
  /** Ways to find all due rows, each by an index of its own. A row may be found by more than one. */
  readonly finders: readonly DueFinder[]
}

/** What a clean-up cleans, and how; in which order is the sweep's affair. Its rows have a uuid `id`. */
export interface SweepTarget<
  C extends SweepCounts = SweepCounts,
  Tx extends Transaction = Transaction,
> extends SweptRows {
  /** The column whose oldest and newest value a dry run reports. */
  readonly date: string
  /** Nothing younger is due. Refused when it lies in the future. */
  readonly cutoff: Date
  /** Which rows are due. A row that was changed must not be due any more. */
  readonly due: Sql
  /** Of which rows a guard takes its share, where only some of them can ever be due. Default: all. */
  readonly population?: Sql
  /** What a batch counts that changes nothing. */
  readonly nothing: C
  /** Changes the rows that meet the condition, all of which are due, and counts them. */
  change(tx: Tx, where: Sql): Promise<C>
}

export interface DueFinder {
  readonly where: Sql
  /** The index's column: the rows are listed in its order. */
  readonly key: string
  readonly keyType: 'timestamptz' | 'uuid'
}

export type SweepCounts = Counts & { cleaned: number }
