import { isEngineJob, type Job } from '@roundsman/engine'
import type { JobsReader } from '@roundsman/engine/client'
import {
  checkMigrations,
  judge,
  listJobsInFlight,
  listSignalsInFlight,
  listStepsInFlight,
  MAX_IN_FLIGHT,
  readSignalPayloads,
  readStepResults,
  type PayloadIssue,
} from '@roundsman/engine/internal'
import { onOneLine } from '../command/layout.ts'
import { withReader, type DatabasePlace } from '../command/product.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { callOf } from '../init/findTooling.ts'
import type { CheckResult, Finding } from './finding.ts'

/*
 * What a deployment of this build would do to the steps and signals that are in flight. It only reads.
 */

type InFlight = Pick<CheckResult, 'findings' | 'unchecked'>
type Schema = Job['payload']

const MAX_PATHS = 5
const LOOKS_AT = `it looks at ${MAX_IN_FLIGHT.toLocaleString('en')} at most`

/** Compares the jobs of this build with the database that it is to be deployed to. */
export async function checkAgainst(place: DatabasePlace, jobs: readonly Job[]): Promise<InFlight> {
  return await asForeseen(async () => {
    const problem = await checkMigrations(place)
    if (problem === null) return await withReader(place, (reader) => checkInFlight(reader, jobs))
    const finding: Finding = {
      severity: 'error',
      code: 'database_unusable',
      job: null,
      problem: problem.problem,
      remedy: `${await callOf('migrate')} first: it changes nothing for the version that runs`,
    }
    return { findings: [finding], unchecked: [] }
  })
}

async function checkInFlight(reader: JobsReader, jobs: readonly Job[]): Promise<InFlight> {
  const byName = new Map(jobs.map((job) => [job.name, job]))
  const signals = new Map(
    jobs.flatMap(({ steps }) =>
      Object.values(steps ?? {}).flatMap(({ signal }) => (signal ? [[signal.name, signal]] : [])),
    ) as [string, { payload: Schema }][],
  )
  const findings: Finding[] = []
  const unchecked: CheckResult['unchecked'] = []
  const undeclared = new Set<string>()
  const of: Signals = { signals, undeclared, unchecked }
  const own = jobs.filter((job) => !isEngineJob(job)).map(({ name }) => name)
  for (const { name, workIds, isForeign } of await listJobsInFlight(reader, own)) {
    const job = byName.get(name)
    if (job === undefined) {
      if (!isForeign) findings.push(describeLackingJob(name))
      continue
    }
    if (workIds.length > MAX_IN_FLIGHT) {
      workIds.length = MAX_IN_FLIGHT
      unchecked.push({ what: `further work of ${name}`, reason: LOOKS_AT })
    }
    if (workIds.length > 0) findings.push(...(await checkWork(reader, { job, workIds, ...of })))
  }
  findings.push(...(await checkSignals(reader, of)))
  if (undeclared.size > 0)
    unchecked.push({
      what: `the payloads of ${[...undeclared].toSorted().join(', ')}`,
      reason:
        'no step names these signals; name them, as in steps: { approval: { signal: approved } }',
    })
  return { findings, unchecked }
}

function describeLackingJob(name: string): Finding {
  return {
    severity: 'error',
    code: 'job_lacking',
    job: name,
    problem: 'its work waits or runs, and this build lacks the job: no worker would take the work',
    remedy: 'keep the job until its work has ended, or cancel that',
  }
}

interface Signals {
  /** Those that steps of this build name. */
  signals: ReadonlyMap<string, { payload: Schema }>
  /** Those in flight of which this build may have a schema that no step names. */
  undeclared: Set<string>
  unchecked: CheckResult['unchecked']
}

interface WorkOfJob extends Signals {
  job: Job
  workIds: readonly string[]
}

async function checkWork(reader: JobsReader, of: WorkOfJob): Promise<Finding[]> {
  const { job, workIds, signals, undeclared } = of
  const findings: Finding[] = []
  const definitions = new Map(
    Object.entries(job.steps ?? {}).flatMap(([name, definition]) =>
      [name, ...definition.was].map((one) => [one, definition]),
    ),
  )
  const judged = new Set<string>()
  for (const step of await listStepsInFlight(reader, workIds)) {
    const { name, signal, isOpen, works, versions } = step
    const where = `${describeWorks(works)}${byVersions(versions)}`
    const definition = definitions.get(name)
    if (definition === undefined) {
      findings.push({
        severity: 'error',
        code: 'step_lacking',
        job: job.name,
        problem: `the step ${name} ${isOpen ? 'is open' : 'has ended'} in ${where}, and this build lacks the step`,
        remedy: `if the step was renamed, add was: ['${name}'] to the new one, or the work does it again; if it was removed, keep ${name} in steps until that work has ended`,
      })
      continue
    }
    if (definition.result || (signal !== null && definition.signal)) judged.add(name)
    if (signal === null || signals.has(signal)) continue
    if (signals.size === 0) undeclared.add(signal)
    else if (isOpen)
      findings.push({
        severity: 'error',
        code: 'signal_lacking',
        job: job.name,
        problem: `the step ${name} waits for the signal ${signal} in ${where}, and no step of this build names that signal`,
        remedy: `keep sending ${signal} until that work has ended, and name it as signal of the step`,
      })
  }
  const refusals = gatherRefusals()
  for await (const one of readStepResults(reader, workIds, [...judged])) {
    const { name, signal, result, version, workId } = one
    const definition = definitions.get(name)
    // A wait that has timed out has no payload.
    const payload = signal !== null && result !== null ? definition?.signal?.payload : null
    for (const schema of [definition?.result, payload])
      if (schema) refusals.ask(schema, result, workId, name, version)
  }
  for (const refused of refusals.list()) {
    const { about, version, pieces } = refused
    const where = `${describeWorks(pieces.size)}${byVersions(version === null ? [] : [version])}`
    findings.push({
      severity: 'error',
      code: 'step_result_refused',
      job: job.name,
      problem: `this build refuses stored results of the step ${about} in ${where}, at ${describePaths(refused)}: that work would end with step_result_invalid`,
      remedy: 'have the schema accept what is stored, or deploy once that work has ended',
    })
  }
  return findings
}

/** Signals that no wait has taken yet. */
async function checkSignals(reader: JobsReader, of: Signals): Promise<Finding[]> {
  const { signals, undeclared, unchecked } = of
  const findings: Finding[] = []
  const stored = await listSignalsInFlight(reader)
  const count = stored.reduce((sum, { unread }) => sum + unread, 0)
  if (count > MAX_IN_FLIGHT) unchecked.push({ what: 'further signals', reason: LOOKS_AT })
  for (const { name, unread } of stored) {
    const signal = signals.get(name)
    if (signal === undefined && signals.size === 0) undeclared.add(name)
    else if (signal === undefined)
      findings.push({
        severity: 'warning',
        code: 'signal_lacking',
        job: null,
        problem: `the signal ${name} is stored ${times(unread)}, no wait has taken it, and no step of this build names it`,
        remedy: 'if the signal was renamed, keep the step that waits for it; otherwise nothing',
      })
    if (signal === undefined) continue
    const refusals = gatherRefusals()
    for await (const { key, id, payload } of readSignalPayloads(reader, name))
      refusals.ask(signal.payload, payload, JSON.stringify([key, id]), name, null)
    for (const refused of refusals.list())
      findings.push({
        severity: 'error',
        code: 'signal_payload_refused',
        job: null,
        problem: `the signal ${name} is stored ${times(refused.pieces.size)} with a payload that this build refuses, at ${describePaths(refused)}: work that takes one would end with step_result_invalid`,
        remedy: 'have the schema accept what is stored',
      })
  }
  return findings
}

interface Refused {
  /** The step or the signal. */
  about: string
  version: string | null
  pieces: Set<string>
  paths: Set<string>
}

/** Gathers what schemas refuse, by step or signal and version. It keeps names of parts and codes, and no contents: many may read the log of a CI. */
function gatherRefusals() {
  const byAbout = new Map<string, Refused>()
  return {
    ask(schema: Schema, value: unknown, piece: string, about: string, version: string | null) {
      const answer = judge(schema, value)
      if (answer.kind === 'accepted') return
      const key = JSON.stringify([about, version])
      const refused = byAbout.get(key) ?? { about, version, pieces: new Set(), paths: new Set() }
      byAbout.set(key, refused)
      refused.pieces.add(piece)
      for (const issue of answer.issues) refused.paths.add(describeIssue(issue))
    },
    list: () => [...byAbout.values()],
  }
}

/** Such as `items.*.price (invalid_type)`. */
function describeIssue({ path, code }: PayloadIssue): string {
  const parts = path.map((part) => (/^\d+$/.test(part) ? '*' : part))
  return `${parts.join('.') || 'the whole'} (${code})`
}

function describePaths({ paths }: Refused): string {
  const shown = onOneLine([...paths].slice(0, MAX_PATHS).join(', '))
  return paths.size > MAX_PATHS ? `${shown} and ${paths.size - MAX_PATHS} more` : shown
}

const describeWorks = (works: number) =>
  works === 1 ? '1 piece of work' : `${works.toLocaleString('en')} pieces of work`

const times = (count: number) => (count === 1 ? 'once' : `${count.toLocaleString('en')} times`)

const byVersions = (versions: readonly string[]) =>
  versions.length === 0 ? '' : `, which version ${onOneLine(versions.join(' and '))} wrote`
