import { withConnection } from '@roundsman/db/admin'

/**
 * Describes a database: a line for each object with its properties, and for each table the number of its rows. Two such
 * lists show what was left behind.
 */
export async function readCatalogue(url: string): Promise<string[]> {
  return await withConnection({ url, applicationName: 'roundsman hosts' }, async (client) => {
    const { rows } = await client.query<{ line: string }>(CATALOGUE)
    const tables = await client.query<{ name: string }>(TABLES)
    const lines = rows.map(({ line }) => line)
    for (const { name } of tables.rows) {
      const counted = await client.query<{ count: string }>(`select count(*) from ${name}`)
      lines.push(`rows of ${name}: ${counted.rows[0]?.count}`)
    }
    return lines
  })
}

const OWN = `nspname not like 'pg\\_%' and nspname <> 'information_schema'`

const TABLES = `
  select format('%I.%I', nspname, relname) as "name" from pg_class
  join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'p') and ${OWN} order by 1`

const CATALOGUE = `
  select "line" from (
    select format('schema %s %s', nspname, nspacl) from pg_namespace where ${OWN}
    union all
    select format('relation %s.%s %s %s', nspname, relname, relkind, relacl) from pg_class
    join pg_namespace n on n.oid = relnamespace where ${OWN}
    union all
    select format('column %s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
      attnotnull, pg_get_expr(adbin, adrelid))
    from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped and ${OWN}
    union all
    select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(k.oid))
    from pg_constraint k join pg_namespace n on n.oid = connamespace where ${OWN}
    union all
    select pg_get_indexdef(indexrelid) from pg_index join pg_class c on c.oid = indrelid
    join pg_namespace n on n.oid = relnamespace where ${OWN}
    union all
    select format('function %s', p.oid::regprocedure) from pg_proc p
    join pg_namespace n on n.oid = pronamespace where ${OWN}
    union all
    select format('type %s.%s', nspname, typname) from pg_type join pg_namespace n on n.oid = typnamespace where ${OWN}
    union all
    select format('trigger %s %s', tgrelid::regclass, tgname) from pg_trigger where not tgisinternal
    union all
    select format('setting %s %s %s', setdatabase, setrole, setconfig) from pg_db_role_setting
    where setdatabase in (0, (select oid from pg_database where datname = current_database()))
    union all select format('extension %s', extname) from pg_extension
    union all select format('event trigger %s', evtname) from pg_event_trigger
    union all select format('publication %s', pubname) from pg_publication
    union all select format('large object %s', oid) from pg_largeobject_metadata
    union all select format('default privileges %s', defaclacl) from pg_default_acl
    union all select format('role %s', rolname) from pg_roles where rolname not like 'pg\\_%'
  ) as found ("line") order by 1`
