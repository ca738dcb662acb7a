import { createTestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { migrateInWords } from '../../src/migrate/migrateInWords.ts'

it('says where the tables are made, and which steps it has done where there were some', async () => {
  const { url: databaseUrl, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  const migrate = () => migrateInWords({ databaseUrl, schema: 'jobs' })
  expect(await migrate()).toBe('The tables are made, in the schema jobs.')
  expect(await migrate()).toBe('The tables are up to date.')

  const client = new pg.Client(databaseUrl)
  await client.connect()
  // As tables are that lack all steps of this version.
  await client.query(`
    create table "JobMigration" (like jobs."JobMigration" including all);
    insert into "JobMigration" values ('another', false);
    drop schema jobs cascade;
    create schema jobs;
    alter table "JobMigration" set schema jobs`)
  await client.end()
  expect(await migrate()).toMatch(/^Done in the database:\n {2}ownQueue$/)
})
