import { parseArgs, type ParseArgsConfig, type ParseArgsOptionsConfig } from 'node:util'
import { UsageError } from './runCommand.ts'

/**
 * Parses a command line with options only.
 * @throws UsageError
 */
export function parseOptions<const Options extends ParseArgsOptionsConfig>(
  args: string[],
  options: Options,
) {
  return parse({ args, options, allowPositionals: false }).values
}

/**
 * Parses a command line with positional words and options.
 * @throws UsageError
 */
export function parseCommandLine<const Options extends ParseArgsOptionsConfig>(
  args: string[],
  options: Options,
) {
  return parse({ args, options, allowPositionals: true })
}

/**
 * Parses a command line that begins with an action. Each action accepts some of the options.
 * @throws UsageError for an option that the action would ignore
 */
export function parseAction<
  const Options extends ParseArgsOptionsConfig,
  const Action extends string,
>(args: string[], options: Options, optionsOf: Record<Action, readonly (keyof Options)[]>) {
  const { values, positionals } = parseCommandLine(args, options)
  const [given, ...words] = positionals
  const actions = Object.keys(optionsOf) as Action[]
  const action = actions.find((one) => one === given)
  if (action === undefined) throw new UsageError(`Say what to do: ${actions.join(', ')}`)
  const odd = Object.keys(values).filter((name) => !optionsOf[action].includes(name))
  if (odd.length > 0)
    throw new UsageError(`${odd.map((name) => `--${name}`).join(', ')} is not for ${action}`)
  return { action, values, words }
}

function parse<const Config extends ParseArgsConfig>(config: Config) {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** @throws UsageError */
export function parseWholeNumber(
  option: string,
  text: string | undefined,
  { min, max, otherwise }: { min: number; max: number; otherwise: number },
): number {
  if (text === undefined) return otherwise
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new UsageError(`${option} is a whole number from ${min} to ${max}, not "${text}"`)
}

/**
 * Requires a reason for the record, which may not be blank.
 * @throws UsageError
 */
export function requireReason(reason = ''): string {
  if (reason.trim() !== '') return reason
  throw new UsageError('--reason is missing: say why')
}

const UNITS = { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

/**
 * Reads `90s`, `15min`, `2h` or `3d`.
 * @throws UsageError
 */
export function parseDurationMs(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^(\d{1,6})\s*(s|min|h|d)$/.exec(text) ?? []
  if (count !== undefined) return Number(count) * UNITS[unit as keyof typeof UNITS]
  throw new UsageError(`${option}: "${text}" is no duration; give one such as 90s, 15min, 2h or 3d`)
}
