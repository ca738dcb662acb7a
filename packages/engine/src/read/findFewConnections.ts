import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** The database server has few connections left for ordinary roles. */
export interface FewConnections {
  used: number
  /** The maximum of connections, without reserved ones. */
  most: number
  /** The largest users, by the name of the application; the engine's connections together. The most first. */
  by: { name: string; count: number }[]
}

/** Few are left if this share is used. */
const MANY_CONNECTIONS = 0.9
const MAX_NAMES = 3

/** Finds whether at least this share of the connections is used. Null also if this role may not see the users. */
export async function findFewConnections(
  reader: JobsReader,
  share: number = MANY_CONNECTIONS,
): Promise<FewConnections | null> {
  const [found] = await reader.rows<FewConnections>({
    text: `
      with session as materialized (
        select ${boundedText(`case when application_name like 'roundsman %' then 'roundsman' else coalesce(application_name, '') end`)} as "name",
               count(*)::int as "count"
        from pg_stat_activity where backend_type = 'client backend' group by 1
      )
      select * from (
        select (select sum("count")::int from session) as "used",
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                 - coalesce(current_setting('reserved_connections', true)::int, 0) as "most",
               (select jsonb_agg(main order by main."count" desc, main."name") from (
                 select * from session order by "count" desc, "name" limit ${MAX_NAMES}
               ) main) as "by"
      ) all_of
      where "used" >= $1::float8 * "most" and pg_has_role('pg_read_all_stats', 'usage')`,
    values: [share],
  })
  return found ?? null
}

/**
 * Formats `97 of 100 connections of the database are used, most by roundsman (42), shop api (31), sessions without a name (5)`.
 */
export function describeConnections({ used, most, by }: FewConnections): string {
  const whose = by.map(
    ({ name, count }) => `${name === '' ? 'sessions without a name' : name} (${count})`,
  )
  return `${used} of ${most} connections of the database are used, most by ${whose.join(', ')}`
}
