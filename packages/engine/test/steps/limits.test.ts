import { openForTests } from '@roundsman/testing'
import { beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import { usePlainClient } from '../usePlainClient.ts'

const drip = defineJob({
  name: 'drip',
  payload: z.strictObject({ user: z.string(), hours: z.number() }),
  rateLimit: { limit: 1, perMs: 60_000 },
  retry: { limit: 1, delayMs: 1_000 },
  steps: { pause: {} },
})

const { database, client } = usePlainClient()
let starts: string[] = []
let isBroken = false
const test = openForTests(() =>
  openTestJobs({
    ...{ databaseUrl: database.url, client, jobs: [drip] },
    handlers: {
      async drip({ payload: { user, hours }, step }) {
        starts.push(user)
        if (hours > 0) await step.sleep('pause', hours * 3_600_000)
        if (isBroken) throw new Error('broken')
      },
    },
  }),
)

beforeEach(async () => {
  await test.reset()
  starts = []
  isBroken = false
})

const start = (user: string, hours = 0) => test.enqueueNow(drip, { user, hours })
/** Who starts in the moment after so much time. */
async function startsAfter(seconds: number): Promise<string[]> {
  starts = []
  await test.advance({ seconds })
  await test.drain()
  return starts
}

it('a resumption takes no start of a rate limit', async () => {
  await start('ada', 1)
  expect(await startsAfter(0)).toEqual(['ada'])
  expect(await startsAfter(3_600)).toEqual(['ada'])
  await start('bob')
  expect(await startsAfter(0)).toEqual(['bob'])
  await start('cem')
  expect(await startsAfter(0)).toEqual([])
  expect(await startsAfter(60)).toEqual(['cem'])
})

it('a retry after a wait takes one', async () => {
  await start('ada', 1)
  await startsAfter(0)
  isBroken = true
  expect(await startsAfter(3_600)).toEqual(['ada'])
  isBroken = false
  expect(await startsAfter(1)).toEqual(['ada'])
  await start('bob')
  expect(await startsAfter(0)).toEqual([])
  expect(await startsAfter(60)).toEqual(['bob'])
})
