// Processes: kills a worker in the middle of an approved run.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { beforeAll, expect, it } from 'vitest'
import { CREATE_ROWS, purge, purgeHandler } from '../fixtures/purge.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { readRuns } from '../readRuns.ts'

const WORKER = new URL('../fixtures/purgeProcess.ts', import.meta.url).pathname
const by = { actor: 'olga@example.com', reason: 'checked' }

const { runtime, client } = useClientRuntime({ cleared: ['Row'] })

beforeAll(() => runtime.rows(CREATE_ROWS))
const runs = () => readRuns(runtime)
const insert = (from: number, to: number) =>
  runtime.rows('insert into "Row" select n from generate_series($1::int, $2::int) n', [from, to])

it.each([
  { more: 0, errorCode: null },
  { more: 1, errorCode: 'guard_blocked' },
])(
  'an approval of 200 rows lets no more go, whoever dies meanwhile: $more due beside them',
  async ({ more, errorCode }) => {
    await insert(1, 200)
    const victim = spawnProcess(WORKER, { args: [runtime.url] })
    await client.requestRun(purge, by)
    const blocked = await waitFor(async () =>
      (await runs()).find((run) => run.errorCode === 'guard_blocked'),
    )
    expect(await client.approveRun(blocked.id, by)).toMatchObject({ rows: 200 })
    await waitFor(async () => ((await runs())[1]?.details?.removed ?? 0) > 20)
    await victim.kill('SIGKILL')
    if (more > 0) await insert(201, 200 + more)
    await startTestWorker(runtime, { jobs: [purge], handlers: { purge: purgeHandler } })

    await waitFor(
      async () => (await runs()).filter(({ status }) => status !== 'running').length === 3,
      { timeoutMs: 30_000 },
    )
    const [, lost, next] = await runs()
    const { length: left } = await runtime.rows('select from "Row"')
    expect(lost).toMatchObject({ errorCode: 'worker_lost' })
    expect(next).toMatchObject({ errorCode })
    expect((lost!.details!.removed ?? 0) + (next!.details!.removed ?? 0)).toBe(200 + more - left)
    expect(left).toBe(errorCode === null ? 0 : 201 - lost!.details!.removed!)
  },
)
