import { getUninstallPlans } from 'pg-boss'
import { createSchema, PUBLIC } from './schema.ts'
import { STEPS } from './steps.ts'

/** All that the steps have made, so that none is forgotten when another comes. */
export const TABLES = [...findMade(/create table (?:if not exists )?"(\w+)"/gi), 'JobMigration']
const VIEWS = findMade(/create (?:or replace )?view "(\w+)"/gi)
const FUNCTIONS = findMade(/create (?:or replace )?function roundsman\."(\w+)"/gi)
export const ENUMS = findMade(/create type "(\w+)" as enum/gi)

function findMade(pattern: RegExp): string[] {
  const made = STEPS.flatMap(({ sql = '' }) => [...sql.matchAll(pattern)].map(([, name]) => name))
  return [...new Set(made.filter((name) => name !== undefined))]
}

/**
 * A script that removes all tables, with whatever is in them and waits in the queue, for when no worker and no
 * client is left. What is not ours stays: the schema goes only if nothing else is in it, and where a view or a foreign key
 * of the host's depends on a table, nothing at all is removed. pg-boss's tables go whole: of a host that uses the schema
 * `pgboss` beside Roundsman in `public`, its own queues too.
 */
export function uninstallSql({ schema: name }: { schema?: string | undefined } = {}): string {
  const schema = createSchema(name)
  const ours = [
    ...VIEWS.map((view) => `drop view if exists "${view}"`),
    ...TABLES.map((table) => `drop table if exists "${table}"`),
    ...FUNCTIONS.map((made) => `drop function if exists roundsman."${made}"`),
    ...ENUMS.map((type) => `drop type if exists "${type}"`),
  ]
  const emptied = schema.name === PUBLIC ? 'pgboss' : schema.name
  return `-- Removes Roundsman from the schema ${schema.name}.
begin;
set local client_min_messages = warning;
${schema.sql(ours.join(';\n'))};
do $$ begin
  if exists (select from pg_namespace where nspname = '${emptied}') then
${getUninstallPlans(schema.queue).trim()}
    begin
      drop schema "${emptied}";
    exception when dependent_objects_still_exist then
      raise warning 'the schema ${emptied} stays: something else is in it';
    end;
  end if;
end $$;
commit;
`
}
