import { isAbsolute, join } from 'node:path'
import { z } from 'zod'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../..')

/** Lists all problems of the environment, each with its variable and the remedy. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(
      `The environment needs attention:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    )
    this.problems = problems
  }
}

export interface EnvironmentOptions {
  /** Variables that production cannot do without, each with its remedy. */
  requiredInProduction?: Record<string, string>
}

/**
 * Reads the variables of one process and reports all their problems together. An empty variable counts as not set, as in a
 * `.env` file with nothing behind the equals sign.
 * @throws EnvironmentError
 */
export function readEnvironment<Shape extends z.ZodRawShape>(
  shape: Shape,
  source: NodeJS.ProcessEnv,
  { requiredInProduction = {} }: EnvironmentOptions = {},
): z.output<z.ZodObject<Shape>> {
  const present = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''))
  const missing = Object.entries(requiredInProduction)
    .filter(([name]) => present.NODE_ENV === 'production' && present[name] === undefined)
    .map(([name, remedy]) => `${name}: is not set, and production needs it; ${remedy}`)
  const parsed = z.object(shape).safeParse(present)
  const invalid = (parsed.error?.issues ?? []).map(({ path, message }) => {
    const name = path.join('.')
    return `${name}: ${hideCredentials(message, present[name] ?? '')}`
  })
  if (parsed.success && missing.length === 0) return parsed.data
  throw new EnvironmentError([...missing, ...invalid])
}

/** A message may repeat the value, which may be another variable's: DATABASE_URL in the place of PORT. */
function hideCredentials(message: string, value: string): string {
  const hidden = value.replace(/:\/\/\S*@/, '://…@').replace(/\b(password=)[^&\s]*/i, '$1…')
  if (hidden === value) return message
  return message.replaceAll(JSON.stringify(value).slice(1, -1), hidden).replaceAll(value, hidden)
}

/** A whole number within bounds, with a default. */
export function integerVariable(options: {
  min: number
  max: number
  default: number
  unit?: string
}) {
  const unit = options.unit ? ` ${options.unit}` : ''
  const remedy = `set a whole number from ${options.min} to ${options.max}, or leave it out for ${options.default}${unit}`
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return options.default
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
      if (value >= options.min && value <= options.max) return value
      context.addIssue(`${JSON.stringify(text)} is out of range or not a number; ${remedy}`)
      return z.NEVER
    })
}

/** A secret. The messages of its problems leave the value out. */
export function secretVariable({ minLength, remedy }: { minLength: number; remedy: string }) {
  return z.string().superRefine((text, context) => {
    const problem = secretProblem(text, minLength)
    if (problem !== null) context.addIssue(`${problem}; ${remedy}`)
  })
}

/** What is wrong with a secret; null when it is long enough and no word, blank or character again and again. */
export function secretProblem(text: string, minLength: number): string | null {
  if (text.length < minLength) return `has fewer than ${minLength} characters`
  const least = minLength / 4
  if (new Set(text).size >= least) return null
  return `has fewer than ${least} different characters, so that it can be guessed`
}

/** Takes `true`, `false`, `1` or `0` and refuses the rest, since nobody would notice a misread switch for long. */
export function switchVariable(options: { default: boolean }) {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return options.default
      if (text === 'true' || text === '1') return true
      if (text === 'false' || text === '0') return false
      context.addIssue(
        `${JSON.stringify(text)} is neither true nor false; set true or false (1 and 0 do as well)`,
      )
      return z.NEVER
    })
}

/** The variables of every process. */
export const commonVariables = {
  NODE_ENV: z
    .enum(
      ['development', 'test', 'production'],
      'is not a known mode; set development, test or production, or leave it out',
    )
    .default('development'),
  /** PostgreSQL 15 or newer. Default: the embedded one in DATA_DIR, but never in production. */
  DATABASE_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || isPostgresUrl(text), {
      // The message does not repeat the value, which may hold a password.
      error:
        'is not a PostgreSQL URL; set postgresql://user:password@host:5432/database, or leave it out for the embedded one',
    }),
  /** The folder of the embedded database and the development secret, relative to the workspace. */
  DATA_DIR: z
    .string()
    .default('.data')
    .transform((path) => (isAbsolute(path) ? path : join(WORKSPACE_ROOT, path))),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'is not a log level; set fatal, error, warn, info, debug, trace or silent, or leave it out for info',
    )
    .default('info'),
}

/** An embedded database in production would be lost with the machine. */
export const databaseRequiredInProduction = {
  DATABASE_URL: 'set postgresql://user:password@host:5432/database',
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? '')
}
