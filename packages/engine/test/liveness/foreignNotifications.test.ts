import { waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const PAYLOADS = [
  ...['', ' ', '{', 'null', '__proto__', 'constructor', 'é'.repeat(3_000)],
  // Transactions that do not exist, never will or cannot; and more of them than anybody waits for.
  ...[
    'echo 0',
    'echo 3',
    'echo 9223372036854775807',
    'echo 99999999999999999999',
    'echo x',
    'echo -1',
  ],
  `echo ${Array.from({ length: 1_500 }, (_, n) => n).join(' ')}`,
]

const { runtime, client } = useClientRuntime()

it('a worker goes on after notifications that nobody of ours has sent', async () => {
  const job = defineJob({ name: 'echo' })
  const { prisma, lines } = runtime
  await startTestWorker(runtime, { jobs: [job], handlers: { echo: async () => undefined } })
  await runtime.rows(
    `select pg_notify(channel, payload)
       from unnest(array['roundsman_cancel', 'roundsman_changes', 'roundsman_work']) channel,
            unnest($1::text[]) payload`,
    [PAYLOADS],
  )
  // This notification comes after them on the same connection, so that they were heard before it.
  const { workId } = await prisma.$transaction((tx) => client.enqueue(tx, job, {}))
  await waitFor(() => prisma.jobRun.findFirst({ where: { workId, status: 'success' } }))
  expect(lines.filter(({ level }) => Number(level) >= 40)).toEqual([])
})
