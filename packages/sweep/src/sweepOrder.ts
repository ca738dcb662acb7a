import type { Transaction } from './transaction.ts'
import type { Sql } from './sql.ts'

/** Cuts what is due into batches. */
export interface SweepOrder {
  /** Returns what to change next, about `rows` rows. Called in the transaction that changes them. */
  next(tx: Transaction, rows: number): Promise<NextRows>
  /** Called with how many rows the last condition changed. `isCut`: there may be more, which are to come again. */
  changed(rows: number, isCut?: boolean): void
  /** Whether nothing more is due, as far as can be known without a query. */
  isOver(): boolean
}

export type NextRows =
  /** The condition that the rows meet, all of which are due. */
  { kind: 'rows'; where: Sql } | { kind: 'end' }
