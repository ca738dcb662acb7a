import { Queue, Worker } from 'bullmq'
import { inChunks, type CreateEngine } from '../engine.ts'

export interface BullMqSettings {
  concurrency: number
  /** False: it keeps a list of completed jobs, which is its default. */
  removeOnComplete: boolean
}

const QUEUE = 'noop'
const UNFINISHED = ['active', 'waiting', 'prioritized', 'delayed'] as const

/** BullMQ on Redis with its defaults. Nothing records what it does beyond its own list of completed jobs. */
export const createBullMq: CreateEngine<BullMqSettings> = async (url, settings) => {
  const { hostname: host, port } = new URL(url)
  const connection = { host, port: Number(port), maxRetriesPerRequest: null }
  const { concurrency, removeOnComplete } = settings
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete } })
  let worker: Worker | undefined
  return {
    async enqueue(count) {
      await queue.waitUntilReady()
      for (const jobs of inChunks(count, (n) => ({ name: 'noop', data: { n } }))) {
        await queue.addBulk(jobs)
      }
    },
    async openProducer() {
      await queue.waitUntilReady()
      return {
        async send(n) {
          await queue.add('noop', { n })
          return null
        },
        close: async () => undefined,
      }
    },
    async start(onHandled) {
      const work = async ({ data }: { data: { n: number } }) => onHandled(data.n)
      worker = new Worker(QUEUE, work, { connection, concurrency })
      await worker.waitUntilReady()
    },
    async isSettled() {
      const counts = await queue.getJobCounts(...UNFINISHED)
      return Object.values(counts).every((count) => count === 0)
    },
    async count() {
      const counts = await queue.getJobCounts(...UNFINISHED, 'failed')
      return { left: Object.values(counts).reduce((sum, count) => sum + count, 0), audited: null }
    },
    async close() {
      await worker?.close()
      await queue.close()
    },
  }
}
