import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { summarise } from '../statistics.ts'
import { measureIdle, type IdleFigures } from './measureIdle.ts'

const MAX_STATEMENTS = 8
const MAX_LENGTH = 90

export const idle = defineScenario<IdleFigures>({
  name: 'idle',
  title: 'An idle worker',
  rounds: 1,
  measure: measureIdle,
  targets({ rounds }) {
    const of = (key: 'queriesPerSecond' | 'cpuPercent' | 'residentMb') => {
      const summary = summarise(rounds.map((round) => round[key]))
      return { measured: summary.median, spread: summary }
    }
    return [
      {
        what: 'queries',
        atMost: 1,
        unit: '/s',
        ...of('queriesPerSecond'),
      },
      { what: 'processor time of one core', atMost: 1, unit: '%', ...of('cpuPercent') },
      {
        what: 'resident memory',
        atMost: 120,
        unit: 'MB',
        ...of('residentMb'),
        obstacle: 'about half of it is the code of Node itself',
      },
    ]
  },
  render({ seconds, rounds }) {
    const statements = rounds.flatMap((round) => round.statements).slice(0, MAX_STATEMENTS)
    return `The worker process as it is deployed, with the whole catalogue and nothing to do, for ${formatNumber(seconds)} seconds. Every statement that
reaches PostgreSQL from any of its connections counts, as the server's own log (\`log_statement = all\`) lists them.

${table(
  ['times', 'statement'],
  statements.map(({ text, count }) => [
    formatNumber(count),
    `\`${text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text}\``,
  ]),
)}`
  },
  plots: () => [],
})
