import type { RunObservation, WorkerObserver } from '@roundsman/engine/worker'
import { createRandom } from '../createRandom.ts'
import { guiltyHasty, INNOCENTS } from './hostileJobs.ts'

const SHARE = 0.1

const refuse = (): never => {
  throw new Error('from an observer')
}
const reject = (): Promise<never> => Promise.reject(new Error('from an observer, later'))
const never = new Promise<never>(() => undefined)

/** What an observer may do wrong to any run. */
const FAULTS: readonly (() => RunObservation)[] = [
  refuse,
  () => ({ ended: refuse }),
  // oxlint-disable-next-line typescript/no-misused-promises -- what is to be tried
  () => ({ ended: reject }),
  () => reject() as never,
  () => ({
    get logFields() {
      return refuse()
    },
  }),
  () => ({ logFields: new Proxy({}, { ownKeys: refuse }) }),
  () => ({ logFields: { value: 5n, self: Symbol('odd') } as never }),
  () => 'nothing' as never,
]

/** What it may do wrong to a guilty run: keep its handler from it. */
const CALLS: readonly (() => RunObservation)[] = [
  () => ({ within: refuse }),
  () => ({ within: reject }),
  () => ({ within: () => Promise.resolve(5n as never) }),
  () => ({ within: (work) => work().then(() => work()) }),
]

/** Misbehaves now and then, in everything that an observer is asked for. */
export function createHostileObserver(seed: number): WorkerObserver {
  const random = createRandom(seed + process.pid)
  const pick = (faults: readonly (() => RunObservation)[]) =>
    faults[random.integer(0, faults.length - 1)]?.()
  // Returns the promise that it rejects, like an async function.
  const sometimes = (fault: () => unknown) => (random.chance(SHARE) ? fault() : undefined) as void
  return {
    runStarted(run) {
      if (!random.chance(SHARE)) return undefined
      if (run.name === guiltyHasty.name && random.chance(0.3)) return { within: () => never }
      if (!INNOCENTS.includes(run.name) && random.chance(0.3)) return pick(CALLS)
      return pick(FAULTS)
    },
    runRescued: () => sometimes(refuse),
    runExpired: () => sometimes(refuse),
    ticksDecided: () => sometimes(refuse),
    workClaimed: () => sometimes(reject),
    runsSettled: () => sometimes(refuse),
  }
}
