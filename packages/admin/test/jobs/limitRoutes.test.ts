import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)
const get = async (path: string) =>
  (await api.as('admin', { method: 'GET', url: `/api/jobs/${path}` })).json()
const post = (path: string, payload: object) =>
  api.as('admin', {
    method: 'POST',
    url: `/api/jobs/${path}`,
    payload: { reason: 'why', ...payload },
  })

beforeEach(async () => {
  await api.prisma.$executeRawUnsafe('delete from "JobLimit"')
  await api.prisma.$executeRawUnsafe('delete from "JobKey"')
  await api.prisma.$executeRawUnsafe(
    `insert into "JobLimit" ("name", "global", "order", "jobs") values ('stripe', 20, null, '{charge,refund}'), ('job:sendReport', null, 'fair', null)`,
  )
})

describe('limits over all workers', () => {
  it('are listed, and set until somebody takes it back', async () => {
    expect((await post('limits/stripe', { global: 3 })).json()).toEqual({ outcome: 'set' })
    expect((await post('sendReport/limit', { global: 2 })).json()).toEqual({ outcome: 'set' })
    expect((await get('limits')).limits).toMatchObject([
      { name: 'stripe', jobs: ['charge', 'refund'], global: 20, setGlobal: 3, setReason: 'why' },
      { name: 'sendReport', jobs: null, setGlobal: 2, setBy: 'admin@example.com', runs: [] },
    ])
    expect((await post('limits/stripe', { global: null })).json()).toEqual({ outcome: 'set' })
    expect((await post('limits/stripe', { global: null })).json()).toEqual({ outcome: 'unchanged' })
    expect((await post('limits/nobody', { global: 3 })).statusCode).toBe(404)
    expect((await post('limits/stripe', { global: 0 })).statusCode).toBe(400)
  })
})

describe('the keys of a job', () => {
  it('are listed with what somebody has set, in parts', async () => {
    const set = (payload: object) => post('sendReport/keys', { key: 'tenant 7/ä', ...payload })
    expect((await set({ perKey: 5 })).json()).toEqual({ outcome: 'set' })
    expect((await set({ paused: true })).json()).toEqual({ outcome: 'set' })
    const listed = { key: 'tenant 7/ä', perKey: 5, waiting: 0 }
    expect(await get('sendReport/keys')).toMatchObject({
      total: 1,
      isCut: false,
      keys: [{ ...listed, paused: { until: null, by: 'admin@example.com', reason: 'why' } }],
    })
    expect((await set({ paused: false })).json()).toEqual({ outcome: 'set' })
    const asked = await get(`sendReport/keys?key=${encodeURIComponent('tenant 7/ä')}`)
    expect(asked.keys).toMatchObject([{ ...listed, paused: null }])
    expect((await set({ perKey: 0 })).statusCode).toBe(400)
    expect((await post('other/keys', { key: 'a', perKey: 2 })).statusCode).toBe(404)
  })
})
