import { getJobRun, listJobRuns, type FoundJobRun, type JobsReader } from '@roundsman/engine/client'
import type { RunDetail } from '../contract.ts'

/** Dry runs among them are rehearsals, and no successes to compare with. */
const MAX_LOOKED = 10

/**
 * Compares a failed run with the last success of its job before it: version, host, key, and the fields of the payload that the
 * job shows. The rest of a payload is removed when its work succeeds, so nothing else of it can be compared.
 */
export async function differsFromSuccess(
  reader: JobsReader,
  run: FoundJobRun,
): Promise<RunDetail['lastSuccess']> {
  const { name, outcome, startedAt, id } = run
  if (outcome !== 'failed' && outcome !== 'lost') return null
  const { runs } = await listJobRuns(reader, {
    ...{ name, status: 'success', after: { at: startedAt, id }, limit: MAX_LOOKED },
  })
  const last = runs.find(({ dryRun }) => !dryRun)
  const success = last === undefined ? null : await getJobRun(reader, last.id)
  if (success === null) return null
  const [then, now] = [factsOf(success), factsOf(run)]
  const names = new Set([...then.keys(), ...now.keys()])
  return {
    id: success.id,
    startedAt: success.startedAt,
    differences: [...names].flatMap((of) => {
      const [was, is] = [then.get(of) ?? null, now.get(of) ?? null]
      const isUnknown = KNOWN.has(of) && (was === null || is === null)
      return was === is || isUnknown ? [] : [{ of, was, is }]
    }),
  }
}

/** The facts of each run, which may be unknown. */
const KNOWN: ReadonlySet<string> = new Set(['version', 'host'])

/** Unknown and absent facts of a run are missing. */
function factsOf({ version, workerId, key, shown }: FoundJobRun): Map<string, string> {
  const payload = Object.entries(shown ?? {}).map(([path, value]) => [`payload.${path}`, value])
  const facts = [
    ['version', version],
    ['host', /^(.+):\d+:[0-9a-f]+$/.exec(workerId)?.[1]],
    ['key', key],
    ...payload,
  ]
  return new Map(
    facts.flatMap(([name, value]) => (value == null ? [] : [[String(name), String(value)]])),
  )
}
