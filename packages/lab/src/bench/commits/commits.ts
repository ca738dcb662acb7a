import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { ratios, summarise } from '../statistics.ts'
import {
  COMMIT_SIDES,
  CONNECTIONS,
  measureCommits,
  type CommitFigures,
  type CommitSide,
} from './measureCommits.ts'

const LABELS: Record<CommitSide, string> = {
  plain: 'a plain insert instead',
  roundsman: 'Roundsman',
  pgBoss: 'pg-boss with LISTEN/NOTIFY',
  graphileWorker: 'graphile-worker',
  bullMq: 'BullMQ on Redis, after the commit',
}

export const commits = defineScenario<CommitFigures>({
  name: 'commits',
  title: 'Commits of transactions that enqueue',
  rounds: 5,
  measure: measureCommits,
  targets: ({ perSecond }) =>
    CONNECTIONS.map((connections) => {
      const ratio = summarise(
        ratios(perSecond.roundsman[connections] ?? [], perSecond.plain[connections] ?? []),
      )
      return {
        what: `commits/s by ${connections} connections, to the same transactions with a plain insert instead`,
        atLeast: 0.85,
        unit: '×',
        measured: ratio.median,
        spread: ratio,
        obstacle:
          "the row of a queue has more columns and indexes than a plain one, and on one machine the product's process shares the processors",
      }
    }),
  render({ perSecond, redis }) {
    const rows = measured(perSecond).map((side) => [
      LABELS[side],
      ...CONNECTIONS.map((connections) => {
        const { median } = summarise(perSecond[side][connections] ?? [])
        const ratio = summarise(
          ratios(perSecond[side][connections] ?? [], perSecond.plain[connections] ?? []),
        ).median
        return `${formatNumber(median)} (${formatNumber(ratio)})`
      }),
    ])
    return `Requests of a product: each begins a transaction, writes a row of its own, enqueues by the engine's own call in that
transaction, and commits; so many connections do so at once, from one process, and nobody takes the work. In brackets
to the same transactions with an insert into a plain table instead. PostgreSQL lines up all commits that notify behind
one lock, which each holds until it is on disk: what an engine costs the product's other requests is seen with many
connections. BullMQ enqueues after the commit, and what a crash loses in between is lost.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

${table(['commits/s, connections:', ...CONNECTIONS.map(String)], rows)}

For a team with 32 requests in flight, this is how many such requests a second the database takes, whichever engine
they enqueue with.`
  },
  plots: ({ perSecond }) => [
    {
      name: 'commits',
      title: 'Commits a second of transactions that enqueue, by 32 connections',
      unit: '/s',
      bars: measured(perSecond).map((side) => {
        const { median, ...spread } = summarise(perSecond[side][32] ?? [])
        return { label: LABELS[side], value: median, spread, isOurs: side === 'roundsman' }
      }),
    },
  ],
})

function measured(perSecond: CommitFigures['perSecond']): CommitSide[] {
  return COMMIT_SIDES.filter((side) =>
    Object.values(perSecond[side]).some((rounds) => rounds.length > 0),
  )
}
