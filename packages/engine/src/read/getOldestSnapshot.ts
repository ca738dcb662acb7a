import { expectReader } from '../arguments/queries.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Who keeps PostgreSQL from removing old rows: as long as it may look at them, they stay, and each claim reads past them. */
export interface SnapshotHolder {
  /** An open transaction, a replication slot (a standby with feedback), or a transaction that was prepared and not finished. */
  kind: 'session' | 'slot' | 'prepared'
  /** The process id of a session, or the name of the others. */
  id: string
  /** The application's name of a session, the owner of a prepared transaction; empty for a slot. */
  who: string
  /** Such as `idle in transaction`; null where this role may not see it. */
  state: string | null
  /** Since when its transaction has been open, as ISO 8601 in UTC; null for a slot, and where this role may not see it. */
  since: string | null
  /** How many transactions have begun in this server since its snapshot. */
  transactions: number
}

/** Finds who holds the oldest snapshot; null while nobody holds any. It sees the whole server, as removing old rows does. */
export async function getOldestSnapshot(reader: JobsReader): Promise<SnapshotHolder | null> {
  expectReader(reader)
  const [found] = await reader.rows<SnapshotHolder>({
    text: `
      select "kind", ${boundedText('"id"')} as "id", ${boundedText('"who"')} as "who", "state", "since", "transactions"
      from (
        select 'session' as "kind", pid::text as "id", application_name as "who", state as "state", xact_start as "since",
               greatest(age(backend_xid), age(backend_xmin)) as "transactions"
        from pg_stat_activity
        -- What sends to a standby belongs to no database. Vacuum does not wait for itself.
        where (backend_type = 'walsender' or datname = current_database() and backend_type <> 'autovacuum worker')
          and pid <> pg_backend_pid()
        union all
        select 'slot', slot_name::text, '', case when active then 'active' else 'inactive' end, null, age(xmin)
        from pg_replication_slots
        union all
        select 'prepared', gid, owner::text, null, prepared, age(transaction)
        from pg_prepared_xacts where database = current_database()
      ) holder
      where "transactions" is not null
      order by "transactions" desc, "since" nulls last limit 1`,
  })
  return found ?? null
}

/** With fewer transactions since, hardly any old rows can have gathered. */
const MIN_TRANSACTIONS = 1_000
/** A slot does not say since when: a standby that keeps up is never so far behind. */
const MIN_TRANSACTIONS_OF_SLOT = 100_000

/** Whether a snapshot is so old that somebody should look: by default in a transaction open for ten minutes. */
export function isSnapshotOld(
  { since, transactions }: Pick<SnapshotHolder, 'since' | 'transactions'>,
  now: Date,
  afterMs = 600_000,
): boolean {
  if (since === null) return transactions >= MIN_TRANSACTIONS_OF_SLOT
  return transactions >= MIN_TRANSACTIONS && now.getTime() - Date.parse(since) >= afterMs
}

/** Names the holder: `pid 4711 (pg_dump, active)`, `the replication slot standby (inactive)`. */
export function nameSnapshotHolder({ kind, id, who, state }: SnapshotHolder): string {
  const thing = {
    session: 'pid',
    slot: 'the replication slot',
    prepared: 'the prepared transaction',
  }
  const about = [who, state].filter((part) => part !== null && part !== '').join(', ')
  return `${thing[kind]} ${id}${about === '' ? '' : ` (${about})`}`
}
