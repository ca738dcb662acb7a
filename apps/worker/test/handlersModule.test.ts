// Not quick: starts processes.
import { cleanupI18nCache } from '@roundsman/jobs'
import { runOnce } from '@roundsman/engine/worker'
import { pino } from 'pino'
import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { handlersModule } from '../src/handlersModule.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'

const database = openForTests(openWorkerDatabase)

it('opens the handlers of this product in a process of an isolated run', async () => {
  const result = await runOnce({
    schema: 'public',
    databaseUrl: database.url,
    client: database.prisma,
    job: { ...cleanupI18nCache, isolate: { memoryMb: 256 } },
    handler: () => Promise.reject(new Error('it ran here')),
    handlersModule,
    log: pino({ level: 'silent' }),
  })

  expect(result).toMatchObject({ kind: 'ended', run: { status: 'success', details: {} } })
})
