import { parseArgs } from 'node:util'
import { SCALES, type Scale } from './scenario.ts'

export interface BenchArguments {
  /** Empty: all. */
  scenarios: string[]
  rounds: number | null
  scale: Scale
  seed: number
  /** A folder with PostgreSQL's programs. Null: the embedded ones. */
  postgres: string | null
  /** The folder of the report. Null: reports/. */
  out: string | null
  /** Writes the report again from kept results, and measures nothing. */
  reportOnly: boolean
}

export class UsageError extends Error {}

/** @throws UsageError that names what is wrong and what would be right */
export function readArguments(args: string[], known: readonly string[]): BenchArguments {
  const { values, positionals } = parse(args)
  const unknown = positionals.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new UsageError(
      `There is no scenario "${unknown.join('", "')}"; there are: ${known.join(', ')}`,
    )
  }
  const scale = SCALES.find((each) => each === values.scale)
  if (scale === undefined) {
    throw new UsageError(`--scale is "${values.scale}"; it can be ${SCALES.join(' or ')}`)
  }
  return {
    scenarios: positionals,
    rounds: values.rounds === undefined ? null : wholeNumber('--rounds', values.rounds),
    scale,
    seed: wholeNumber('--seed', values.seed),
    postgres: values.postgres ?? null,
    out: values.out ?? null,
    reportOnly: values['report-only'],
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        scale: { type: 'string', default: 'full' },
        seed: { type: 'string', default: '1' },
        postgres: { type: 'string' },
        out: { type: 'string' },
        'report-only': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`${option} is "${text}"; it has to be a whole number above 0`)
}
