import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { summarise } from '../statistics.ts'
import { measureStartup, type StartupFigures } from './measureStartup.ts'

export const startup = defineScenario<StartupFigures>({
  name: 'start',
  title: 'Starting everything',
  rounds: 5,
  measure: measureStartup,
  targets({ warmMs, launcherMs }) {
    const { median, min, max } = summarise(warmMs)
    return [
      {
        what: 'warm `npx -y pnpm@12 start` to ready',
        atMost: 3,
        unit: 's',
        measured: median / 1_000,
        spread: { min: min / 1_000, max: max / 1_000 },
        obstacle: `npx and pnpm take ${formatNumber(summarise(launcherMs).median / 1_000)} s of it before our program is started`,
      },
    ]
  },
  render({ firstMs, warmMs, launcherMs }) {
    const seconds = (ms: number) => `${formatNumber(ms / 1_000)} s`
    const warm = summarise(warmMs)
    return `From the command to the box with the URLs, which is printed once API, worker and inbox say that they are ready. Installed and
built, with an embedded PostgreSQL in a folder of its own.

${table(
  ['', 'time', 'all rounds'],
  [
    ['first start: new database, migrations, demo data', seconds(firstMs), ''],
    ['warm start', seconds(warm.median), `${seconds(warm.min)} to ${seconds(warm.max)}`],
    [
      'of that, npx and pnpm, before our program is started',
      seconds(summarise(launcherMs).median),
      '',
    ],
  ],
)}`
  },
  plots: () => [],
})
