// Makes what wakes somebody on call, and shows it.
import { once } from 'node:events'
import { join } from 'node:path'
import { serveConsole } from '@roundsman/admin'
import {
  buildConsole,
  makeServerFolder,
  NOT_DURABLE,
  openThrowawayPostgres,
} from '@roundsman/testing'
import { print, runCommand, tryRun } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { catalogue } from './incidentJobs.ts'
import { INCIDENTS } from './incidents.ts'
import { openShop } from './openShop.ts'

const names = INCIDENTS.map(({ name }) => name)
const command = {
  name: 'incidents',
  about: `Makes incidents, with workers, locks and kills of its own and a PostgreSQL of its own, and serves
the console over them until you stop it: how long does it take you to find each? Without a name, all that
can be at once: ${names.join(', ')}.`,
  options: {},
  things: { name: 'name', known: names },
  exits: '0 it was stopped, 1 something could not be made, 2 usage',
} as const

await runCommand(command, async ({ things }, stop) => {
  const chosen = INCIDENTS.filter(({ name, isAlone }) =>
    things.length === 0 ? isAlone !== true : things.includes(name),
  )
  const shown = await tryRun(
    async ({ signal, onProgress }) => {
      const dataDir = await makeServerFolder('incidents-', join(WORKSPACE_ROOT, '.data'))
      const postgres = await openThrowawayPostgres({ dataDir, settings: NOT_DURABLE, signal })
      try {
        const shop = await openShop(postgres.url)
        const { client } = shop
        const consoleDir = await buildConsole()
        const served = await serveConsole({ client, jobs: catalogue, consoleDir })
        try {
          print(`Open ${served.link} and press Ctrl-C when you have seen enough. It happens now:`)
          for (const incident of chosen) {
            await incident.make(shop)
            onProgress(incident.about)
          }
          if (!stop.aborted) await once(stop, 'abort')
          return true
        } finally {
          await served.close()
          await shop.close()
        }
      } finally {
        await postgres.release()
      }
    },
    { stop, patienceMs: 86_400_000 },
  )
  return shown === null ? 1 : 0
})
