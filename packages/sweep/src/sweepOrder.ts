import type { Transaction } from './transaction.ts'
import { sql, type Sql } from './sql.ts'
import type { SweepTarget } from './sweepTarget.ts'

/** Cuts what is due into batches. */
export interface SweepOrder {
  /**
   * Returns the condition that the next rows meet, about `rows` of them, and all are due; null at the end. Called in the
   * transaction that changes them.
   */
  next(tx: Transaction, rows: number): Promise<Sql | null>
  /** Called with how many rows the last condition changed. `isCut`: there may be more, which are to come again. */
  changed(rows: number, isCut: boolean): void
}

/**
 * Whether a row is due, as a condition that no index answers: where old statistics promise little that is due, PostgreSQL would
 * read an index for each batch and pick the batch's rows out of it, in another order than they lie.
 */
export function isDue({ due }: SweepTarget): Sql {
  return sql`case when ${due} then true end`
}
