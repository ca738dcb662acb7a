import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A table of the queue whose dead rows autovacuum does not remove: it grows, and each worker that starts reads past them. */
export interface Unvacuumed {
  /** The name with its schema, as SQL. Null if autovacuum is off for the whole server. */
  table: string | null
  /** Whether autovacuum is off. Otherwise it has not come for ten minutes. */
  isOff: boolean
  live: number
  dead: number
}

const BUSY_TABLES = ['JobWork', 'JobClaim', 'JobUnique', 'JobPayload', 'JobCancel', 'JobRun']
/** A busy queue produces more between two visits of autovacuum, a minute apart. So nothing is reported before ten minutes. */
const MIN_DEAD = 100_000
const MIN_DEAD_TO_LIVE = 10

/** Finds where autovacuum is off or does not come. getOldestSnapshot finds what prevents it from removing rows. */
export async function listUnvacuumed(reader: JobsReader): Promise<Unvacuumed[]> {
  return await reader.rows<Unvacuumed>({
    text: `
      select null as "table", true as "isOff", 0::float8 as "live", 0::float8 as "dead"
      where not (current_setting('autovacuum')::bool and current_setting('track_counts')::bool)
      union all
      select ${boundedText('"table"')}, "isOff", "live", "dead"
      from unnest(array[${BUSY_TABLES.map((name) => `'"${name}"'::regclass`).join(', ')}]) ours(id)
        join pg_class on pg_class.oid = ours.id join pg_stat_all_tables stat on stat.relid = ours.id
        cross join lateral (
          select format('%I.%I', stat.schemaname, stat.relname) as "table", stat.n_live_tup::float8 as "live",
                 stat.n_dead_tup::float8 as "dead", exists (
                   select from pg_options_to_table(reloptions) where option_name = 'autovacuum_enabled' and not option_value::bool
                 ) as "isOff"
        ) seen
      where "isOff" or "dead" >= ${MIN_DEAD} and "dead" >= ${MIN_DEAD_TO_LIVE} * "live"
        and coalesce(greatest(stat.last_vacuum, stat.last_autovacuum), '-infinity') < now() - interval '10 minutes'`,
  })
}

/** The problem and its remedy. */
export function describeUnvacuumed({ table, isOff, live, dead }: Unvacuumed) {
  if (table === null)
    return {
      problem:
        'autovacuum is off for the whole server, so what the queue deletes stays: its tables grow, and each worker that starts reads past it',
      remedy: 'set autovacuum = on and track_counts = on, and reload the configuration',
    }
  if (isOff)
    return {
      problem: `autovacuum is off for ${table}, so what is deleted there stays: it grows, and each worker that starts reads past it`,
      remedy: `alter table ${table} reset (autovacuum_enabled)`,
    }
  const count = (rows: number) => rows.toLocaleString('en')
  return {
    problem: `${table} has ${count(dead)} dead rows beside ${count(live)}, and no vacuum has removed any for ten minutes`,
    remedy: `vacuum ${table}, and see what autovacuum is busy with: select * from pg_stat_progress_vacuum`,
  }
}
