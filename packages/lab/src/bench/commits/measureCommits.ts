import { join } from 'node:path'
import type { Bench } from '../openBench.ts'
import { startProcess } from '../startProcess.ts'
import { startRedis } from '../throughput/startRedis.ts'

export const COMMIT_SIDES = ['plain', 'roundsman', 'pgBoss', 'graphileWorker', 'bullMq'] as const
export type CommitSide = (typeof COMMIT_SIDES)[number]

/** How many connections commit at once. */
export const CONNECTIONS = [1, 8, 32, 64] as const

export interface CommitFigures {
  /** Transactions committed a second, in each round, by the number of connections. */
  perSecond: Record<CommitSide, Record<number, number[]>>
  redis: string | null
}

const COMMIT_PROCESS = join(import.meta.dirname, 'commitProcess.ts')

/** Measures requests that write a row of their own and enqueue, while nobody takes the work. */
export async function measureCommits(bench: Bench): Promise<CommitFigures> {
  const durationMs = bench.sized({ small: 200, full: 3_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const nothing = () => Object.fromEntries(CONNECTIONS.map((count) => [count, [] as number[]]))
  const figures: CommitFigures = {
    perSecond: {
      plain: nothing(),
      roundsman: nothing(),
      pgBoss: nothing(),
      graphileWorker: nothing(),
      bullMq: nothing(),
    },
    redis: redis?.version ?? null,
  }
  const sides = COMMIT_SIDES.filter((side) => side !== 'bullMq' || redis !== null)
  for (const connections of CONNECTIONS) {
    await bench.interleave(sides, async (side, round) => {
      bench.progress(`round ${round + 1}, ${connections} connections, ${side}`)
      const url = await server.createDatabase('commits')
      const child = startProcess(COMMIT_PROCESS, {
        args: [side, url, redis?.url ?? '', String(connections), String(durationMs)],
      })
      await child.line(/^ready$/)
      child.send('go')
      const [, commits = '', tookMs = ''] = await child.line(/^committed (\d+) (.+)$/)
      figures.perSecond[side][connections]?.push((Number(commits) / Number(tookMs)) * 1_000)
      await child.stop()
    })
  }
  await server.dropDatabase('commits')
  await closeRedis()
  return figures
}
