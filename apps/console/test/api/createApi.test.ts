import { expect, it } from 'vitest'
import { createApi } from '../../src/api/createApi.ts'
import { createReachability } from '../../src/api/createReachability.ts'

it.each(['.', '..'])(
  'refuses the name %s: the address would be that of another route',
  async (name) => {
    const api = createApi({
      prefix: 'http://127.0.0.1:1/api',
      reachability: createReachability(() => 0),
      clock: { adjust: () => undefined } as never,
    })
    const refused = { status: 404, detail: 'No name is "." or ".."' }
    await expect(api.get(`/jobs/named/${name}/schedules?limit=1`)).rejects.toMatchObject(refused)
    await expect(api.change('POST', `/jobs/named/a/schedules/${name}`)).rejects.toMatchObject(
      refused,
    )
  },
)
