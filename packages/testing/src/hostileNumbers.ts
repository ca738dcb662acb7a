import fc from 'fast-check'

/** Which numbers an option takes. */
export interface Range {
  min: number
  max: number
  /** Whether fractions are refused. */
  isWhole?: boolean
}

export const whole = (min: number, max: number): Range => ({ min, max, isWhole: true })
export const positive = (max = Number.MAX_SAFE_INTEGER) => whole(1, max)
export const TIMER: Range = { min: 1, max: 2 ** 31 - 1 }
export const WAIT: Range = { min: 0, max: Infinity }
export const YEAR_MS = 365 * 86_400_000
const DAYS = whole(1, 36_500)
export const DAYS_KEPT = {
  'retention.runDays': DAYS,
  'retention.failedDays': DAYS,
  'retention.actionDays': DAYS,
  'retention.keyedTickDays': DAYS,
}

/** What createWorker takes; of an option within another by a path. */
export const WORKER_NUMBERS: Readonly<Record<string, Range>> = {
  concurrency: whole(1, 10_000),
  drainTimeoutMs: WAIT,
  ...DAYS_KEPT,
}
export const PRIORITY = whole(-(2 ** 31), 2 ** 31 - 1)
/** What defineJob takes. */
export const JOB_NUMBERS: Readonly<Record<string, Range>> = {
  timeoutMs: positive(86_400_000 - 120_000),
  concurrency: positive(10_000),
  'retry.limit': whole(0, 1_000_000),
  'retry.delayMs': positive(YEAR_MS),
  'retry.maxDelayMs': positive(YEAR_MS),
  'isolate.memoryMb': whole(64, 1_048_576),
}

const ODD = [Number.NaN, Infinity, -Infinity, -0, '5', '', null, true, {}, [], 5n, new Date(5)]
const edges = ({ min, max }: Range): unknown[] => [
  ...[min, min - 1, min - 0.5, min + 0.5, max, max + 1, max + 0.5, max - 0.5, 2 * max],
  ...[0, -1, 1, 2.5, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 1e15, 1e21, 1e300, 5e-324],
  ...ODD,
]

export const isWithin = (value: unknown, { min, max, isWhole = false }: Range) =>
  typeof value === 'number' &&
  value >= min &&
  value <= max &&
  (!isWhole || Number.isSafeInteger(value))

/** Draws a number at the limits of the range or beyond, any number, or what is none. */
export const hostileNumber = (range: Range): fc.Arbitrary<unknown> =>
  fc.oneof(fc.constantFrom(...edges(range)), fc.double(), fc.integer())

/** Sets options, also those within another: `retention.runDays`. */
export function asOptions(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [option, value] of Object.entries(values)) {
    const [outer = '', ...inner] = option.split('.')
    options[outer] =
      inner.length === 0
        ? value
        : { ...(options[outer] as object), ...asOptions({ [inner.join('.')]: value }) }
  }
  return options
}

/** Where JavaScript, JSON and PostgreSQL begin and end, what a queue keeps work for, and what is no date. */
export const INSTANT_EDGES = [
  ...[Number.NaN, -8.64e15, 8.64e15, 0, -1, 1, 2 ** 31 * 1_000, 253_402_300_799_999],
  ...[253_402_300_800_000, Date.UTC(2016, 0, 1), Date.UTC(1900, 0, 1)],
  ...['0000-12-31T23:59:59.999Z', '0001-01-01T00:00:00.000Z', '-004714-01-01T00:00:00.000Z'],
].map((instant) => new Date(instant))
export const instants = fc.oneof(
  fc.constantFrom(...INSTANT_EDGES),
  fc.date({ noInvalidDate: false }),
  fc.integer({ min: -5_000, max: 5_000 }).map((ms) => new Date(Date.now() + ms)),
)
export const isStorable = (date: Date | undefined) =>
  date === undefined || (date.getUTCFullYear() >= 1 && date.getUTCFullYear() <= 9_999)
