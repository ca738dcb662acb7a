import { collectOutput, createTestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { exitCodeOf, type Command } from '../../src/command/runCommand.ts'
import { exportCommand, migrateCommand } from '../../src/migrate/migrateCommand.ts'

async function open() {
  const { url, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  const client = new pg.Client(url)
  await client.connect()
  onTestFinished(() => client.end())
  const run = async (command: Command, ...args: string[]) => {
    const output = collectOutput()
    const { stdout, stderr } = output
    const variables = { DATABASE_URL: url }
    const code = await exitCodeOf(command, args, { variables, stdout, stderr })
    return { code, ...output.texts() }
  }
  return { client, run }
}

it('says where the tables are made, and that nothing was missing', async () => {
  const { run } = await open()
  const migrate = () => run(migrateCommand, '--schema', 'jobs')
  expect((await migrate()).stdout).toBe('The tables are made, in the schema jobs.\n')
  expect((await migrate()).stdout).toBe('The tables are up to date.\n')
  expect((await run(migrateCommand, '--schema', 'jobs', '--sql')).stdout).toBe('')
})

it('refuses tables of another baseline, and names the command that saves their rows', async () => {
  const { client, run } = await open()
  await client.query(`
    create schema "old jobs";
    set search_path = "old jobs";
    create table "JobMigration" ("name" text, "breaks" boolean, "appliedAt" timestamptz default now());
    insert into "JobMigration" values ('ancient', true);
    create table "JobRun" ("id" int, "queueJobId" uuid, "details" jsonb);
    insert into "JobRun" select n, null, '{"text": "one\\ntwo"}' from generate_series(1, 45) n;
    create table "JobAction" ("at" timestamptz);
    create table job (name text, state text);
    insert into job values ('letter', 'created');
    create table "Berth" (id int)`)
  const said = `baseline, ancient, and were not changed; .* roundsman (export --schema 'old jobs') > roundsman.jsonl saves`
  for (const mode of [[], ['--sql'], ['--check']]) {
    const { code, stdout, stderr } = await run(migrateCommand, '--schema', 'old jobs', ...mode)
    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(new RegExp(said))
  }

  const { code, stdout, stderr } = await run(exportCommand, '--schema', 'old jobs')

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    ...Array.from({ length: 45 }, (_, n) => ({
      table: 'JobRun',
      row: { id: n + 1, queueJobId: null, details: { text: 'one\ntwo' } },
    })),
    { table: 'job', row: { name: 'letter', state: 'created' } },
  ])
})
