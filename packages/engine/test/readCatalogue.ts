import type pg from 'pg'

/** Everything in a database that is not PostgreSQL's own, without the rows: one line each. */
export async function readCatalogue(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(CATALOGUE_SQL)
  return rows.map(({ line }) => line)
}

const CATALOGUE_SQL = `
  with schema as (
    select oid, nspname as name from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
  )
  select line from (
    select concat_ws(' ', 'schema', name) from schema
    union all
    select concat_ws(' ', 'relation', schema.name, relkind, relname, array_to_string(reloptions, ','), relispartition,
      case when relkind = 'v' then pg_get_viewdef(pg_class.oid) end)
    from pg_class join schema on schema.oid = relnamespace
    union all
    select concat_ws(' ', 'column', schema.name, relname, attname, format_type(atttypid, atttypmod), attnotnull,
      pg_get_expr(adbin, adrelid))
    from pg_attribute join pg_class on pg_class.oid = attrelid join schema on schema.oid = relnamespace
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped
    union all
    select concat_ws(' ', 'constraint', schema.name, conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid))
    from pg_constraint join schema on schema.oid = connamespace
    union all
    select concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid,
      (select inhparent::regclass from pg_inherits where inhrelid = indexrelid))
    from pg_index join pg_class on pg_class.oid = indexrelid join schema on schema.oid = relnamespace
    union all
    select concat_ws(' ', 'function', regexp_replace(pg_get_functiondef(pg_proc.oid), '\\s+', ' ', 'g'))
    from pg_proc join schema on schema.oid = pronamespace
    union all
    select concat_ws(' ', 'enum', schema.name, typname, enumsortorder, enumlabel)
    from pg_enum join pg_type on pg_type.oid = enumtypid join schema on schema.oid = typnamespace
    union all
    select concat_ws(' ', 'statistics', pg_get_statisticsobjdef(pg_statistic_ext.oid))
    from pg_statistic_ext join schema on schema.oid = stxnamespace
  ) as catalogue(line) order by line collate "C"`
