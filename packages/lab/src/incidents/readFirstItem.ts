import { listProblems } from '@roundsman/engine/client'
import { waitFor } from '@roundsman/testing'
import { catalogue } from './incidentJobs.ts'
import type { Incident } from './incidents.ts'
import type { Shop } from './openShop.ts'

/** Reads what the judge says of an incident, as soon as that is what is expected, or after a minute. */
export async function readFirstItem({ client, host }: Shop, { first, items }: Incident) {
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
