// Makes what wakes somebody on call, and shows it.
import { once } from 'node:events'
import { join } from 'node:path'
import { serveConsole } from '@roundsman/admin'
import { listProblems } from '@roundsman/engine/client'
import {
  buildConsole,
  createDatabase,
  makeServerFolder,
  NOT_DURABLE,
  openThrowawayPostgres,
  waitFor,
} from '@roundsman/testing'
import { print, runCommand, tryRun, type RunContext } from '../runCommand.ts'
import { WORKSPACE_ROOT } from '../startProcess.ts'
import { catalogue } from './incidentJobs.ts'
import { INCIDENTS, type Incident } from './incidents.ts'
import { openShop, type Shop } from './openShop.ts'

const names = INCIDENTS.map(({ name }) => name)
const command = {
  name: 'incidents',
  about: `Makes incidents, with workers, locks and kills of its own and a PostgreSQL of its own. With names it
makes these together, and serves the console over them until you stop it: how long does it take you
to find each? Without a name it makes each in a database of its own, and compares the first item and
the number of items with what it expects. There are: ${names.join(', ')}.`,
  options: {},
  things: { name: 'name', known: names },
  exits:
    '0 it was stopped, or all were as expected; 1 something was not, or could not be made; 2 usage',
} as const

await runCommand(command, async ({ things }, stop) => {
  const isDone = await tryRun(
    async (context) => {
      const dataDir = await makeServerFolder('incidents-', join(WORKSPACE_ROOT, '.data'))
      const { signal } = context
      const postgres = await openThrowawayPostgres({ dataDir, settings: NOT_DURABLE, signal })
      try {
        if (things.length === 0) return await compareEach(postgres.url, context)
        await serveTogether(postgres.url, things, context, stop)
        return true
      } finally {
        await postgres.release()
      }
    },
    { stop, patienceMs: 86_400_000 },
  )
  return isDone === true ? 0 : 1
})

async function compareEach(adminUrl: string, { signal, onProgress }: RunContext): Promise<boolean> {
  let differing = 0
  for (const incident of INCIDENTS) {
    signal.throwIfAborted()
    const { name, about, make } = incident
    const shop = await openShop(await createDatabase(adminUrl, name))
    try {
      await make(shop)
      const { isExpected, text, items } = await readFirstItem(shop, incident)
      if (!isExpected) differing += 1
      onProgress(`${isExpected ? 'as expected' : 'NOT as expected'}  ${name}: ${about}`)
      if (!isExpected) onProgress(`  ${items} items, the first: ${text}`)
    } finally {
      await shop.close()
    }
  }
  print(`${INCIDENTS.length - differing} of ${INCIDENTS.length} are as expected.`)
  return differing === 0
}

/** Reads what the judge says of an incident, as soon as that is what is expected, or after a minute. */
async function readFirstItem({ client, host }: Shop, { first, items }: Incident) {
  const read = async () => {
    const { problems } = await listProblems(client.reader, catalogue, new Date())
    const text = problems[0]?.text ?? null
    const [row] =
      first === null
        ? []
        : await host.$queryRawUnsafe<{ text: string }[]>(`select ${first.says} as text`)
    const isFirst = row === undefined ? text === null : text?.startsWith(row.text) === true
    return { isExpected: isFirst && problems.length === items, text, items: problems.length }
  }
  const isExpected = waitFor(async () => (await read()).isExpected, { timeoutMs: 60_000 })
  await isExpected.catch(() => undefined)
  return await read()
}

async function serveTogether(
  url: string,
  things: readonly string[],
  { onProgress }: RunContext,
  stop: AbortSignal,
): Promise<void> {
  const shop = await openShop(url)
  try {
    const consoleDir = await buildConsole()
    const served = await serveConsole({ client: shop.client, jobs: catalogue, consoleDir })
    try {
      print(`Open ${served.link} and press Ctrl-C when you have seen enough. It happens now:`)
      const chosen = INCIDENTS.filter(({ name }) => things.includes(name))
      for (const { make, about } of chosen.toSorted(lastOnes)) {
        await make(shop)
        onProgress(about)
      }
      if (!stop.aborted) await once(stop, 'abort')
    } finally {
      await served.close()
    }
  } finally {
    await shop.close()
  }
}

const lastOnes = (one: { isLast?: true }, other: { isLast?: true }) =>
  Number(one.isLast === true) - Number(other.isLast === true)
