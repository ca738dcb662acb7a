import { BASELINE_SQL } from './baseline.ts'
import { createSchema, PUBLIC } from '../database/schema.ts'

/** Read from the text that makes them, so that a new table is removed too. */
export const TABLES = findMade(/create table "(\w+)"/gi)
const VIEWS = findMade(/create view "(\w+)"/gi)
const SEQUENCES = findMade(/create sequence "(\w+)"/gi)
const FUNCTIONS = findMade(/create function roundsman\."(\w+)"/gi)
export const ENUMS = findMade(/create type "(\w+)" as enum/gi)

function findMade(pattern: RegExp): string[] {
  return [...BASELINE_SQL.matchAll(pattern)].flatMap(([, name]) => name ?? [])
}

/**
 * A script that removes all tables with their runs and the work that waits. Run it when no worker and no client is left. It
 * drops the schema only when nothing else is in it, and removes nothing when a host's view or foreign key depends on a
 * table.
 */
export function uninstallSql({ schema: name }: { schema?: string | undefined } = {}): string {
  const schema = createSchema(name)
  const ours = [
    ...VIEWS.map((view) => `drop view if exists "${view}"`),
    ...TABLES.map((table) => `drop table if exists "${table}"`),
    ...SEQUENCES.map((sequence) => `drop sequence if exists "${sequence}"`),
    ...FUNCTIONS.map((made) => `drop function if exists roundsman."${made}"`),
    ...ENUMS.map((type) => `drop type if exists "${type}"`),
  ]
  return `-- Removes Roundsman from the schema ${schema.name}.
begin;
-- Behind a session that still reads, it would hold up all that come later. Then nothing is removed: run it again.
set local lock_timeout = '2s';
set local client_min_messages = warning;
${schema.sql(ours.join(';\n'))};
${schema.name === PUBLIC ? '' : dropEmptySchemaSql(schema.name)}commit;
`
}

const dropEmptySchemaSql = (name: string) => `do $$ begin
  if exists (select from pg_namespace where nspname = '${name}') then
    drop schema "${name}";
  end if;
exception when dependent_objects_still_exist then
  raise warning '%', 'the schema ${name} stays: something else is in it';
end $$;
`
