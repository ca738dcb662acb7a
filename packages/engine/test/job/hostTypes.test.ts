import type { Prisma, PrismaClient } from '@roundsman/db'
import type { drizzle as drizzleOverPg } from 'drizzle-orm/node-postgres'
import type { drizzle as drizzleOverPostgresJs } from 'drizzle-orm/postgres-js'
import type { Knex } from 'knex'
import type { ControlledTransaction, Kysely, Transaction } from 'kysely'
import type pg from 'pg'
import type postgres from 'postgres'
import { expect, expectTypeOf, it } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import {
  defineJob,
  type HandlersFor,
  type HostClient,
  type HostTransaction,
  type RunContext,
  type TransactionOf,
} from '../../src/index.ts'

interface Tables {
  boat: { id: number; name: string }
}

const extend = (prisma: PrismaClient) =>
  prisma.$extends({ model: { $allModels: { greet: () => 'hello' } } })
type ExtendedPrisma = ReturnType<typeof extend>
type OverPg = ReturnType<typeof drizzleOverPg<{ boat: never }>>
type OverPostgresJs = ReturnType<typeof drizzleOverPostgresJs<{ boat: never }>>

it('hands to handlers the transactions of the client, in its own types', () => {
  expectTypeOf<TransactionOf<PrismaClient>>().toEqualTypeOf<Prisma.TransactionClient>()
  expectTypeOf<TransactionOf<pg.Pool>>().toEqualTypeOf<pg.PoolClient>()
  expectTypeOf<TransactionOf<Kysely<Tables>>>().toEqualTypeOf<Transaction<Tables>>()
  expectTypeOf<TransactionOf<Knex>>().toEqualTypeOf<Knex.Transaction>()
  expectTypeOf<TransactionOf<OverPg>>().toEqualTypeOf<
    Parameters<Parameters<OverPg['transaction']>[0]>[0]
  >()
  expectTypeOf<TransactionOf<OverPostgresJs>>().toEqualTypeOf<
    Parameters<Parameters<OverPostgresJs['transaction']>[0]>[0]
  >()
  expectTypeOf<TransactionOf<postgres.Sql>>().toEqualTypeOf<postgres.TransactionSql>()

  const sail = defineJob({ name: 'sail', description: 'Sails.' })
  const handlers: HandlersFor<readonly [typeof sail], TransactionOf<Kysely<Tables>>> = {
    sail: ({ batch }) =>
      batch(async (tx) => {
        await tx.selectFrom('boat').select('name').execute()
        // @ts-expect-error -- no such table
        await tx.selectFrom('car').execute()
        return { sailed: 1 }
      }),
  }
  expect(handlers).toHaveProperty('sail')
})

it('takes clients of all of them, and nothing else', () => {
  expectTypeOf<PrismaClient>().toExtend<HostClient>()
  expectTypeOf<pg.Pool>().toExtend<HostClient>()
  expectTypeOf<Kysely<Tables>>().toExtend<HostClient>()
  expectTypeOf<Knex>().toExtend<HostClient>()
  expectTypeOf<OverPg>().toExtend<HostClient>()
  expectTypeOf<OverPostgresJs>().toExtend<HostClient>()
  expectTypeOf<postgres.Sql>().toExtend<HostClient>()
  expectTypeOf<string>().not.toExtend<HostClient>()
  expectTypeOf<{ query(text: string): Promise<void> }>().not.toExtend<HostClient>()
  expectTypeOf<TransactionOf<{ totalCount: number }>>().toBeNever()
})

it('takes transactions of all of them where one is needed', () => {
  expectTypeOf<TransactionOf<PrismaClient>>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<ExtendedPrisma>>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<pg.Pool>>().toExtend<HostTransaction>()
  expectTypeOf<pg.PoolClient>().toExtend<HostTransaction>()
  expectTypeOf<pg.Client>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<Kysely<Tables>>>().toExtend<HostTransaction>()
  expectTypeOf<Transaction<Tables>>().toExtend<HostTransaction>()
  expectTypeOf<ControlledTransaction<Tables>>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<Knex>>().toExtend<HostTransaction>()
  expectTypeOf<Knex.Transaction>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<OverPg>>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<OverPostgresJs>>().toExtend<HostTransaction>()
  expectTypeOf<TransactionOf<postgres.Sql>>().toExtend<HostTransaction>()
  expectTypeOf<postgres.TransactionSql>().toExtend<HostTransaction>()
})

type Bare =
  | PrismaClient
  | ExtendedPrisma
  | pg.Pool
  | Kysely<Tables>
  | Knex
  | OverPg
  | OverPostgresJs
  | postgres.Sql

it('takes no client where a transaction is needed', () => {
  expectTypeOf<Extract<Bare, HostTransaction>>().toBeNever()

  const job = defineJob({ name: 'any', description: 'Any.' })
  const by = { actor: 'ada', reason: 'why' }
  const schedule = { key: 'a', cron: '0 * * * *' }
  function calls<Client extends Bare>(
    client: JobsClient,
    context: RunContext<unknown, Prisma.TransactionClient>,
    bare: Client,
    prisma: PrismaClient,
  ): unknown[] {
    return [
      // @ts-expect-error -- in no transaction
      client.enqueue(bare, job, {}),
      // @ts-expect-error -- in no transaction
      client.enqueueMany(bare, job, []),
      // @ts-expect-error -- in no transaction
      client.readerIn(bare),
      // @ts-expect-error -- in no transaction
      client.pauseQueue('any', by, { tx: bare }),
      // @ts-expect-error -- in no transaction
      client.schedules.upsert(bare, job, schedule),
      // @ts-expect-error -- in no transaction
      client.schedules.delete(bare, job, 'a', by),
      // @ts-expect-error -- in no transaction
      context.enqueue(prisma, job, {}),
    ]
  }
  expect(calls).toBeTypeOf('function')
})
