import { expectReader } from '../arguments/queries.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** The holder of an old snapshot: PostgreSQL keeps all rows that it may still see, and each claim reads past them. */
export interface SnapshotHolder {
  /** An open transaction, a replication slot (a standby with feedback), or an unfinished prepared transaction. */
  kind: 'session' | 'slot' | 'prepared'
  /** The process id of a session, or the name of the others. */
  id: string
  /** The application's name of a session, the owner of a prepared transaction; empty for a slot. */
  who: string
  /** For example `idle in transaction`. Null if this role may not see it. */
  state: string | null
  /** The start of its transaction, as ISO 8601 in UTC. Null for a slot, and if this role may not see it. */
  since: string | null
  /** Transactions that have begun in this server since its snapshot. */
  transactions: number
}

/**
 * Finds the holder of the oldest snapshot. Null if there is none. It looks at the whole server, as the removal of old rows
 * does.
 */
export async function getOldestSnapshot(reader: JobsReader): Promise<SnapshotHolder | null> {
  expectReader(reader)
  const [found] = await reader.rows<SnapshotHolder>({
    text: `
      select "kind", ${boundedText('"id"')} as "id", ${boundedText('"who"')} as "who", "state", "since", "transactions"
      from (
        select 'session' as "kind", pid::text as "id", application_name as "who", state as "state", xact_start as "since",
               greatest(age(backend_xid), age(backend_xmin)) as "transactions"
        from pg_stat_activity
        -- Processes that send to a standby belong to no database. Vacuum does not wait for itself.
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

/** With fewer transactions since then, there can be few old rows. */
const MIN_TRANSACTIONS = 1_000
/** A slot has no start time: a standby that keeps up is never this far behind. */
const MIN_TRANSACTIONS_OF_SLOT = 100_000

/** Whether a snapshot is old enough to report: by default its transaction has been open for ten minutes. */
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
