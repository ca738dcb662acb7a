import type { Counts } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import type { Sql } from './sql.ts'

/** Which rows a job sweeps and how it finds them. A check can ask the planner whether an index does. */
export interface SweptRows {
  readonly table: string
  /** Ways to find all due rows, each by an index of its own. A row may be found by more than one. */
  readonly finders: readonly DueFinder[]
}

/** The action of a clean-up on its rows; sweep() chooses their order. Each row has an `id`, of any type. */
export interface SweepTarget<
  C extends SweepCounts = SweepCounts,
  Tx extends Transaction = Transaction,
> extends SweptRows {
  /** The column whose oldest and newest value a dry run reports. */
  readonly date: string
  /** Nothing younger is due. sweep() refuses one in the future. */
  readonly cutoff: Date
  /** Which rows are due. `change` must leave them no longer due, or the sweep would meet them again. */
  readonly due: Sql
  /** The rows that can ever be due, of which the guard takes its share. Default: all rows of the table. */
  readonly population?: Sql
  /** The counts of a batch that changes nothing. */
  readonly nothing: C
  /**
   * Changes the rows that meet the condition, which are all due, and returns the counts. Use the condition once: by the time of a
   * second use fewer rows may meet it, or others. To copy rows before they go, insert what a `delete … returning` returns.
   */
  change(tx: Tx, where: Sql): Promise<C>
}

/** Types in which a value that PostgreSQL has written as text is the same again when it is read. */
export type KeyType = 'timestamptz' | 'timestamp' | 'date' | 'uuid' | 'int4' | 'int8' | 'text'

export interface DueFinder {
  readonly where: Sql
  /** The index's column, by which the rows are listed. */
  readonly key: string
  readonly keyType: KeyType
}

export type SweepCounts = Counts & { cleaned: number }
