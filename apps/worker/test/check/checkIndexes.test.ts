import { Prisma } from '@roundsman/db'
import { openForTests } from '@roundsman/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkIndexes, type DeclaredSweep } from '../../src/check/checkIndexes.ts'
import { readWorkerEnvironment } from '../../src/env.ts'
import { createCleanups } from '../../src/jobs/index.ts'
import { openWorkerDatabase } from '../openWorkerDatabase.ts'

const database = openForTests(openWorkerDatabase)

const check = (sweeps: readonly DeclaredSweep[]) => checkIndexes(database.prisma, sweeps)
const ofProduct = () =>
  Object.entries(createCleanups(readWorkerEnvironment({}))).map(([job, { sweeps }]) => ({
    job,
    rows: sweeps(new Date()),
  }))

/** Drops an index until the test ends. */
async function drop(index: string): Promise<void> {
  const { prisma } = database
  const [row] = await prisma.$queryRaw<{ definition: string }[]>`
    select pg_get_indexdef(${`"${index}"`}::regclass) as "definition"`
  await prisma.$executeRawUnsafe(`drop index "${index}"`)
  onTestFinished(async () => {
    await prisma.$executeRawUnsafe(row!.definition)
  })
}

describe('of this product', () => {
  it('every clean-up finds what is due by an index', async () => {
    expect(await check(ofProduct())).toEqual([])
  })

  it.each([
    ['I18nCacheEntry_createdAt_idx', 'cleanupI18nCache', '"createdAt" < \'20'],
    ['PreviewSession_expiresAt_due_idx', 'cleanupPreviewSessions', '"expiresAt" < \'20'],
    [
      'PreviewSession_revoked_due_idx',
      'cleanupPreviewSessions',
      `"status" = 'active' and "revoked"`,
    ],
  ])('without %s, %s is told what to do', async (index, job, condition) => {
    await drop(index)

    const [finding, ...others] = await check(ofProduct())
    expect(others).toEqual([])
    expect(finding).toEqual({
      severity: 'error',
      code: 'index_missing',
      job,
      problem: expect.stringContaining(condition),
      remedy: expect.stringMatching(/^add a migration that creates an index on "\w+" \("\w+"\)/),
    })
  })

  it('finds it also where the table is too big to be empty, and was never looked at', async () => {
    await database.prisma.$executeRaw`
      insert into "I18nCacheEntry" ("id", "locale", "key", "value")
      select gen_random_uuid(), 'en', number::text, '' from generate_series(1, 5000) number`
    onTestFinished(async () => {
      await database.prisma.i18nCacheEntry.deleteMany()
    })

    expect(await check(ofProduct())).toEqual([])
    await drop('I18nCacheEntry_createdAt_idx')
    expect(await check(ofProduct())).toHaveLength(1)
  })
})

it('is not content with an index by which all rows are gone through', async () => {
  const finder = { where: Prisma.sql`"value" = ''`, key: 'id', keyType: 'uuid' } as const

  expect(
    await check([{ job: 'a', rows: [{ table: 'I18nCacheEntry', finders: [finder] }] }]),
  ).toMatchObject([{ code: 'index_missing' }])
})

it('tells what is declared and does not exist, and goes on', async () => {
  const finder = { where: Prisma.sql`"gone" = ${1}`, key: 'id', keyType: 'uuid' } as const
  const findings = await check([
    {
      job: 'a',
      rows: [
        { table: 'Nowhere', finders: [finder] },
        { table: 'I18nCacheEntry', finders: [finder] },
      ],
    },
  ])

  expect(findings).toMatchObject([
    {
      code: 'sweep_invalid',
      job: 'a',
      problem: expect.stringContaining('"Nowhere" where "gone" = \'1\''),
    },
    { code: 'sweep_invalid', job: 'a', problem: expect.stringContaining('does not exist') },
  ])
})
