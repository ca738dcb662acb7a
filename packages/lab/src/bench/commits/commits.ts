import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { ratios, summarise } from '../statistics.ts'
import {
  COMMIT_SIDES,
  CONNECTIONS,
  measureCommits,
  type CommitCost,
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

const TARGET = 0.85

export const commits = defineScenario<CommitFigures>({
  name: 'commits',
  title: 'Commits of transactions that enqueue',
  rounds: 5,
  measure: measureCommits,
  targets: (figures) =>
    CONNECTIONS.map((connections) => {
      const { perSecond } = figures
      const obstacle = findObstacle(figures, connections)
      const ratio = toPlain(perSecond, 'roundsman', connections)
      return {
        what: `commits/s by ${connections} connections, to the same transactions with a plain insert instead`,
        atLeast: TARGET,
        unit: '×',
        measured: ratio.median,
        spread: ratio,
        ...(obstacle !== null && { obstacle }),
      }
    }),
  render({ perSecond, costs, redis }) {
    const rows = measured(perSecond).map((side) => [
      LABELS[side],
      ...CONNECTIONS.map((connections) => {
        const { median } = summarise(perSecond[side][connections] ?? [])
        const ratio = toPlain(perSecond, side, connections).median
        return `${formatNumber(median)} (${formatNumber(ratio)})`
      }),
    ])
    return `Requests of a product: each begins a transaction, writes a row of its own, enqueues by the engine's own call in that
transaction, and commits; so many connections do so at once, from one process, and nobody takes the work. In brackets
to the same transactions with an insert into a plain table instead. PostgreSQL lines up all commits that notify behind
one lock, which each holds until it is on disk: what an engine costs the product's other requests is seen with many
connections. BullMQ enqueues after the commit, and what a crash loses in between is lost.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

${table(['commits/s, connections:', ...CONNECTIONS.map(String)], rows)}

${tellCosts(costs, perSecond)}${forATeam(perSecond)}`
  },
  plots: ({ perSecond }) => [
    {
      name: 'ratio',
      title: 'Commits a second, to the same transactions with a plain insert',
      unit: '×',
      limit: { label: 'target 0.85', value: TARGET },
      bars: CONNECTIONS.flatMap((connections) =>
        measured(perSecond)
          .filter((side) => side !== 'plain')
          .map((side) => {
            const { median, ...spread } = toPlain(perSecond, side, connections)
            return {
              label: `${connections}: ${LABELS[side]}`,
              value: median,
              spread,
              isOurs: side === 'roundsman',
            }
          }),
      ),
    },
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

function toPlain(perSecond: CommitFigures['perSecond'], side: CommitSide, connections: number) {
  return summarise(ratios(perSecond[side][connections] ?? [], perSecond.plain[connections] ?? []))
}

/** What a transaction takes, where many are under way; nothing where it was not measured. */
function tellCosts(costs: CommitFigures['costs'], perSecond: CommitFigures['perSecond']): string {
  if (costs === undefined) return ''
  const rows = measured(perSecond).map((side) => {
    const all = costs[side][MANY] ?? []
    const of = (key: keyof CommitCost) =>
      formatNumber(summarise(all.map((cost) => cost[key])).median)
    return [LABELS[side], `${of('processUs')} µs`, `${of('machineUs')} µs`, of('logBytes')]
  })
  const headings = ["product's process", 'whole machine', "bytes of PostgreSQL's log"]
  return `What one of them costs by ${MANY} connections, in processor time:

${table(['', ...headings], rows)}

`
}

/** Requests that enqueue, in a second, of a team that is busy and not large. */
const TEAM = 100
const MANY = 32

function forATeam(perSecond: CommitFigures['perSecond']): string {
  const of = (side: CommitSide, connections: number) =>
    summarise(perSecond[side][connections] ?? []).median
  const share = (side: CommitSide) => formatNumber((TEAM / of(side, MANY)) * 100)
  const alone = (side: CommitSide) => formatNumber(1_000 / of(side, 1))
  return `For a team with ${TEAM} requests a second that enqueue: of what the database commits by ${MANY} connections, with nothing else to
do, they take ${share('roundsman')} %, where a plain insert takes ${share('plain')} % and pg-boss ${share('pgBoss')} %. Whoever is alone
waits ${alone('roundsman')} ms for such a transaction, from its beginning to the end of its commit, and ${alone('plain')} ms with a plain insert.`
}

/** What a transaction costs more, as it was measured; null where it was not. */
function findObstacle({ costs, statements }: CommitFigures, connections: number): string | null {
  if (costs === undefined || statements === undefined) return null
  const of = (side: 'plain' | 'roundsman', key: keyof CommitCost) =>
    formatNumber(summarise((costs[side][connections] ?? []).map((cost) => cost[key])).median)
  const { plain, roundsman } = statements
  return `a commit takes ${of('roundsman', 'machineUs')} µs of processor time, ${of('roundsman', 'processUs')} of it in the product's process (with a plain insert ${of('plain', 'machineUs')} and ${of('plain', 'processUs')}); PostgreSQL carries out the enqueue in ${formatNumber(roundsman.us)} µs, with ${roundsman.indexes} indexes to ask about, and the plain insert in ${formatNumber(plain.us)} µs, with ${plain.indexes}; ${of('roundsman', 'logBytes')} and ${of('plain', 'logBytes')} bytes of log`
}

function measured(perSecond: CommitFigures['perSecond']): CommitSide[] {
  return COMMIT_SIDES.filter((side) =>
    Object.values(perSecond[side]).some((rounds) => rounds.length > 0),
  )
}
