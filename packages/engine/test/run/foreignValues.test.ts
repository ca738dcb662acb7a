import { waitFor } from '@roundsman/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const tally = defineJob({
  name: 'tally',
  description: 'Says what it was given.',
  payload: z.strictObject({ mark: z.string().optional() }),
})

const { runtime, client } = useClientRuntime({ cleared: [] })

async function start({
  now,
  onRead = () => undefined,
}: {
  now?: () => Date
  /** Called when the worker reads the handler. */
  onRead?: () => void
} = {}): Promise<{ marks: (string | undefined)[] }> {
  const marks: (string | undefined)[] = []
  const handlers = {
    get tally() {
      onRead()
      return async ({ payload }: { payload: { mark?: string | undefined } }) => {
        marks.push(payload.mark)
      }
    },
  }
  await startTestWorker(runtime, { jobs: [tally], handlers, ...(now && { now }) })
  return { marks }
}

const enqueue = (mark: string) => client.enqueueNow(tally, { mark })

const ends = async () =>
  (
    await runtime.rows<{ end: string; count: string }>(
      `select coalesce("details" -> 'error' ->> 'code', "status"::text) as end, count(*) as count
       from "JobRun" where "endedAt" is not null group by 1 order by 1`,
    )
  ).map(({ end, count }) => `${end} ${count}`)

test('payloads that the schema refuses, such as of another version, keep no other work from being done', async () => {
  const payloads = ['{}', '{"mark":"sent by another version"}']
  const refused = ['[]', '"x"', '5', '{"mark":5}', '{"payload":{}}', '{"trigger":null}']
  for (const payload of [...payloads, ...refused]) {
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "bytes", "payload") values (gen_random_uuid(), 'tally', length($1), $1::jsonb)`,
      [payload],
    )
  }
  await enqueue('innocent')
  const { marks } = await start()
  const all = [`payload_invalid ${refused.length}`, `success ${payloads.length + 1}`]
  await waitFor(async () => (await ends()).join() === all.join())
  expect(marks).toContain('innocent')
  expect(marks).toContain('sent by another version')
})

test.each([
  [
    'fails',
    () => {
      throw new Error('the clock broke')
    },
  ],
  ['tells no time', () => new Date(Number.NaN)],
  ['tells a year that nothing can store', () => new Date(8.64e15)],
  ['tells a time before all others', () => new Date(-8.64e15)],
])('a clock that %s leaves no run without its end', async (_, now) => {
  await enqueue('innocent')
  await start({ now })
  await waitFor(async () => (await ends()).length > 0)
  expect(await ends()).toEqual(['success 1'])
})

test('a handler that cannot be read fails that run, and the others of its claim go on', async () => {
  for (const mark of ['first', 'second', 'third']) await enqueue(mark)
  let reads = 0
  const { marks } = await start({
    onRead() {
      if (++reads === 1) throw new Error('its module is broken')
    },
  })
  // Its retry may have succeeded too by then.
  await waitFor(async () => /^handler_failed 1,success [23]$/.test((await ends()).join()))
  expect(new Set(marks.slice(0, 2))).toEqual(new Set(['second', 'third']))
})

test('an expiry that is no instant is none', async () => {
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "payload", "facts")
     select gen_random_uuid(), 'tally', 2, '{}', jsonb_build_object('expiresAt', at) from unnest(array['soon', null]) at`,
  )
  const { marks } = await start()
  await waitFor(async () => (await ends()).join() === 'success 2')
  expect(marks).toHaveLength(2)
})
