import { listWorkers } from '@roundsman/engine/client'
import { createTestDatabase } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { lookIntoDatabase } from '../../src/command/lookIntoDatabase.ts'

it('finds what is there', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)

  expect(await lookIntoDatabase({ DATABASE_URL: url, DATA_DIR: '' }, listWorkers)).toEqual({
    found: [],
    reason: null,
  })
})

it('says why it can not look, and never throws', async () => {
  const look = () => Promise.reject(new Error('no luck'))
  const { url, drop } = await createTestDatabase({ migrated: false })
  const migrated = await createTestDatabase()
  onTestFinished(() => Promise.all([drop(), migrated.drop()]).then(() => undefined))

  expect(
    await lookIntoDatabase({ DATABASE_URL: 'postgresql://127.0.0.1:1/x', DATA_DIR: '' }, look),
  ).toMatchObject({
    found: null,
    reason: expect.stringContaining('nothing listens at 127.0.0.1:1'),
  })
  expect(await lookIntoDatabase({ DATABASE_URL: url, DATA_DIR: '' }, look)).toMatchObject({
    reason: expect.stringMatching(/^the database lacks .*; apply them with pnpm db:migrate$/),
  })
  expect(await lookIntoDatabase({ DATABASE_URL: migrated.url, DATA_DIR: '' }, look)).toEqual({
    found: null,
    reason: 'no luck',
  })
})
