import type { Job } from '../job/defineJob.ts'
import type { UsualFailures } from '../read/createUsualFailures.ts'
import type { RunShare } from '../read/failureRates.ts'
import { FAILURE_RATE } from '../read/judgeFailures.ts'
import type { FailingGroup } from '../read/findFirst.ts'
import { judgeJobs, type Problem } from '../read/listProblems.ts'
import type { JobsReader } from '../read/reader.ts'
import { MAX_COUNTED_DEAD_LETTERS } from '../store/deadLetterSql.ts'
import {
  subjectKey,
  type AlertCause,
  type AlertFacts,
  type AlertKind,
  type AlertRow,
} from './alert.ts'

/** When people are told. An alert whose least count or shortest time is Infinity is off. */
export interface AlertLimits {
  /**
   * Which share of a job's latest runs is too much to fail, from 0 to 1; so are five at over three times its week's share,
   * and two of fewer than ten, unless the week explains it. The alert ends below half of the share. Default 0.1.
   */
  failureRate: number
  /** With fewer runs a job is never failing. Default 1. */
  failureMinRuns: number
  /** The latest runs are those that started within this time. Default 3,600,000 ms. */
  failureWindowMs: number
  /** How long it has to last where one run alone has failed: the next attempt may succeed. Default 300,000 ms. */
  failureOfOneMs: number
  /** With less waiting work a queue is not behind. Default 1. */
  queueMinWaiting: number
  /** How long a queue has to be behind. Default 600,000 ms. */
  queueGrowthMs: number
  /** How long no worker lives, or has a schedule, or takes orphaned work, or one is silent. Default 60,000 ms. */
  noWorkerMs: number
  /** How long a transaction may keep old rows from being removed. Default 600,000 ms. */
  snapshotMs: number
}

export const DEFAULT_LIMITS: AlertLimits = {
  failureRate: FAILURE_RATE,
  failureMinRuns: 1,
  failureWindowMs: 3_600_000,
  failureOfOneMs: 300_000,
  queueMinWaiting: 1,
  queueGrowthMs: 600_000,
  noWorkerMs: 60_000,
  snapshotMs: 600_000,
}

export interface Causes {
  causes: readonly AlertCause[]
  /** Of these there is more than was looked through, so a cause that was not found may still exist. */
  cutKinds: readonly AlertKind[]
  /** Jobs of the queue that this catalogue does not have and a worker of another version may: what they need, that tells. */
  others: readonly string[]
}

/**
 * Finds what people should be told. `open`: the alerts that go on. One that began at a limit ends only well below it;
 * otherwise it would begin and end all day.
 */
export async function findCauses(
  reader: JobsReader,
  jobs: readonly Job[],
  limits: AlertLimits,
  open: readonly AlertRow[],
  now: Date,
  usualFailures: UsualFailures,
): Promise<Causes> {
  const told = new Set(open.map(subjectKey))
  const { problems, others } = await judgeJobs(reader, jobs, now, {
    ...limits,
    usualFailures,
    maxCauses: MAX_COUNTED_DEAD_LETTERS,
    wasTold: (kind, name) => told.has(subjectKey({ kind, name, code: '' })),
  })
  return {
    causes: problems
      .flatMap((problem) => toCauses(problem, limits, told, now))
      .filter(({ name }) => !others.includes(name)),
    cutKinds: (['deadLetter', 'poison'] as const).filter((kind) =>
      problems.some((one) => one.kind === kind && one.isCut),
    ),
    others,
  }
}

/** The cause has these itself; and texts that people, the host or a handler wrote stay here. */
const NO_FACTS: ReadonlySet<string> = new Set(['kind', 'name', 'label', 'reason'])

/** What to tell of a problem: nothing of what can wait until somebody looks, and of dead letters each code. */
function toCauses(
  problem: Problem,
  limits: AlertLimits,
  told: ReadonlySet<string>,
  now: Date,
): readonly AlertCause[] {
  if (problem.kind === 'slow' || problem.kind === 'lockWait' || problem.kind === 'recovered')
    return []
  // `since` is the start of the first run that showed it, where that is known.
  const first = 'first' in problem && {
    since: problem.first?.at,
    version: problem.first?.version,
    runsBefore: problem.first?.runsBefore,
  }
  const facts = Object.fromEntries(
    Object.entries({ ...problem, ...first }).filter(
      ([part, fact]) =>
        !NO_FACTS.has(part) && (typeof fact === 'string' || typeof fact === 'number'),
    ),
  ) as AlertFacts
  const name = 'name' in problem ? problem.name : ''
  const cause = { kind: problem.kind, name, code: '', facts, afterMs: 0 }
  switch (problem.kind) {
    case 'noWorker':
    case 'unscheduled':
    case 'orphaned':
    case 'silent':
      // While workers restart there may be none for a moment.
      return [{ ...cause, afterMs: limits.noWorkerMs }]
    case 'failing': {
      const { failed, runs } = problem.recent ?? { failed: 1, runs: 1 }
      if (runs < limits.failureMinRuns) return []
      const afterMs = failed > 1 ? 0 : limits.failureOfOneMs
      const host = problem.onHost && { host: problem.onHost.host }
      const ofGroup = problem.ofGroup && { ofGroup: describeGroup(problem.ofGroup) }
      return [
        {
          ...cause,
          facts: {
            ...facts,
            failed,
            runs,
            ...usualShare(problem.recent?.usual),
            ...host,
            ...ofGroup,
          },
          afterMs,
        },
      ]
    }
    case 'heldKey':
      return [
        { ...cause, facts: { ...facts, act: problem.isPostponed ? 'postponed' : 'enqueued' } },
      ]
    case 'limitExceeded':
      return [{ ...cause, code: problem.limit ?? '' }]
    case 'expired':
      return [{ ...cause, facts: { ...facts, ...usualShare(problem.usual) } }]
    case 'backlog': {
      const { ready: waiting, oldestMs, main, held } = problem
      if (waiting < limits.queueMinWaiting) return []
      const since = new Date(now.getTime() - oldestMs).toISOString()
      const ofMain = main !== null && {
        main: main.by === 'label' ? main.value : `${main.field ?? main.by} ${main.value}`,
        mainPercent: main.percent,
        ...(main.isCut && { mainOfFirst: main.looked }),
      }
      const ofHeld = held && { slots: held.slots, heldSince: held.since, runId: held.runId }
      const backlog = { waiting, since, ...ofMain, ...ofHeld }
      return [{ ...cause, facts: backlog, afterMs: limits.queueGrowthMs }]
    }
    case 'deadLetter':
      return byCode(
        problem.causes.map(({ code, count, thrown }) => ({
          ...cause,
          code,
          facts: { count, ...(thrown !== '' && { thrown }) },
        })),
        told,
      )
    default:
      return [cause]
  }
}

const usualShare = (usual: RunShare | null | undefined) =>
  usual && { usualPercent: Math.round((1_000 * usual.failed) / usual.runs) / 10 }

/** Says `all 212 with label tenant 42`. */
function describeGroup({ field, value, failed, of }: FailingGroup): string {
  return `${failed === of ? 'all' : `${failed} of`} ${of} with ${field ?? 'label'} ${value}`
}

/** Handlers make up their codes, so each dead letter may have its own; people want no message for each. */
const MAX_CODES_OF_JOB = 20

/** The causes of one job; those of the further codes together. */
function byCode(causes: readonly AlertCause[], told: ReadonlySet<string>): AlertCause[] {
  const isTold = (cause: AlertCause) => told.has(subjectKey(cause))
  // Those that go on stay, whatever comes beside them.
  const own = [...causes.filter(isTold), ...causes.filter((cause) => !isTold(cause))]
  const rest = own.splice(MAX_CODES_OF_JOB)
  const count = rest.reduce((sum, { facts }) => sum + Number(facts['count']), 0)
  return [...own, ...rest.slice(0, 1).map((one) => ({ ...one, code: '', facts: { count } }))]
}
