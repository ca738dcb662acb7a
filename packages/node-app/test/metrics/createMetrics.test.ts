import { expect, it } from 'vitest'
import { createMetrics } from '../../src/telemetry.ts'

it('says which build it is, and how Node and the process are', async () => {
  const text = await createMetrics({ app: 'api', version: '1.2.3' }).render()
  expect(text).toContain(
    `roundsman_build_info{version="1.2.3",node_version="${process.version}",app="api"} 1`,
  )
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds\{app="api"\} /m)
  expect(text).toMatch(/^process_resident_memory_bytes\{app="api"\} /m)
})

it('reads its pools at each scrape', async () => {
  const metrics = createMetrics({ app: 'api', version: '1' })
  const state = { max: 10, total: 3, idle: 1, waiting: 0 }
  metrics.watchPool('prisma', () => state)
  const lines = async () =>
    (await metrics.render())
      .split('\n')
      .filter((line) => line.startsWith('roundsman_db_pool'))
      .map((line) => line.replace(',app="api"', ''))
  expect(await lines()).toEqual([
    'roundsman_db_pool_connections{pool="prisma",state="idle"} 1',
    'roundsman_db_pool_connections{pool="prisma",state="busy"} 2',
    'roundsman_db_pool_max_connections{pool="prisma"} 10',
    'roundsman_db_pool_waiting{pool="prisma"} 0',
  ])
  Object.assign(state, { total: 10, idle: 0, waiting: 7 })
  expect(await lines()).toContain('roundsman_db_pool_waiting{pool="prisma"} 7')
})

it('keeps the metrics of two in one process apart', async () => {
  const [one, other] = ['api', 'worker'].map((app) => createMetrics({ app, version: '1' }))
  one!.watchPool('prisma', () => ({ max: 1, total: 1, idle: 1, waiting: 0 }))
  expect(await other!.render()).not.toContain('pool="prisma"')
})
