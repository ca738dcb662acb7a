import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

interface Option {
  /** What the usage says of it. */
  says: string
  /** What it is followed by: a number, or a text such as a FILE. Default: nothing, since it is a flag. */
  takes?: string
  /** Of a number, if it is not given. */
  fallback?: number | null
  /** The smallest number. Default 1. */
  least?: number
  /** The only texts. */
  choices?: readonly string[]
  /** Each adds one; without any, a random one is drawn. */
  isSeeds?: true
}

/** The options of a command, by name. */
export type Options = Readonly<Record<string, Option>>

export type ValuesOf<Given extends Options> = {
  [Name in keyof Given]: Given[Name] extends { isSeeds: true }
    ? number[]
    : Given[Name] extends { fallback: infer Fallback }
      ? number | (Fallback extends number ? never : null)
      : Given[Name] extends { takes: string }
        ? string | null
        : boolean
}

export interface Command<Given extends Options> {
  /** As in `pnpm <name>`. */
  name: string
  /** What it does, in lines of 90 characters. */
  about: string
  options: Given
  /** What it may be told besides its options. */
  things?: { name: string; known: readonly string[] }
  exits: string
}

export class UsageError extends Error {}

/** Runs a command until it is done or somebody stops it, and ends the process with the exit code of `work`. */
export async function runCommand<const Given extends Options>(
  command: Command<Given>,
  work: (values: ValuesOf<Given> & { things: string[] }, stop: AbortSignal) => Promise<number>,
): Promise<never> {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    print(tellUsage(command))
    process.exit(0)
  }
  let values
  try {
    values = readOptions(args, command)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${tellUsage(command)}\n`)
    process.exit(2)
  }
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  process.exit(await work(values, stop.signal))
}

/** @throws UsageError that names what is wrong and what would be right */
export function readOptions<const Given extends Options>(
  args: string[],
  { options, things }: Pick<Command<Given>, 'options' | 'things'>,
): ValuesOf<Given> & { things: string[] } {
  const { given, positionals } = parse(args, options)
  const known = things?.known ?? []
  const unknown = positionals.filter((thing) => !known.includes(thing))
  if (unknown.length > 0) {
    const there = things ? `; there are: ${known.join(', ')}` : ''
    throw new UsageError(
      `There is no ${things?.name ?? 'argument'} "${unknown.join('", "')}"${there}`,
    )
  }
  const read = Object.entries<Option>(options).map(([name, option]) => [
    name,
    readOption(name, option, given[name]),
  ])
  return { ...(Object.fromEntries(read) as ValuesOf<Given>), things: positionals }
}

type Texts = Record<string, string | boolean | (string | boolean)[] | undefined>

function parse(args: string[], options: Options): { given: Texts; positionals: string[] } {
  const expected = Object.entries(options).map(([name, { takes, isSeeds = false }]) => {
    const type: 'string' | 'boolean' = takes === undefined ? 'boolean' : 'string'
    return [name, { type, multiple: isSeeds }] as const
  })
  try {
    const parsed = { args, allowPositionals: true, options: Object.fromEntries(expected) }
    const { values, positionals } = parseArgs(parsed)
    return { given: values, positionals }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function readOption(
  name: string,
  { takes, fallback, least = 1, choices, isSeeds }: Option,
  given: Texts[string],
): unknown {
  const toNumber = (text: unknown) => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least) {
      throw new UsageError(`--${name} is a whole number from ${least}, and not ${String(text)}`)
    }
    return value
  }
  if (isSeeds) return given ? (given as string[]).map(toNumber) : [randomInt(1, 1_000_000)]
  if (fallback !== undefined) return given === undefined ? fallback : toNumber(given)
  if (takes === undefined) return given ?? false
  if (choices && typeof given === 'string' && !choices.includes(given)) {
    throw new UsageError(`--${name} is ${choices.join(' or ')}, and not ${given}`)
  }
  return given ?? null
}

function tellUsage({ name, about, options, things, exits }: Command<Options>): string {
  const shown = Object.entries(options).map(([option, { takes, isSeeds }]) => ({
    option: takes === undefined ? `--${option}` : `--${option} ${takes}`,
    more: isSeeds ? '...' : '',
  }))
  const width = Math.max(...shown.map(({ option }) => option.length))
  const first = `Usage: pnpm ${name}`
  const usage = [
    ...(things ? [`[${things.name}…]`] : []),
    ...shown.map((one) => `[${one.option}]${one.more}`),
  ]
  const lines = [first]
  for (const part of usage) {
    if (`${lines.at(-1)} ${part}`.length > 90) lines.push(' '.repeat(first.length))
    lines.push(`${lines.pop()} ${part}`)
  }
  const says = Object.values(options).map(
    ({ says: text, fallback }, index) =>
      `  ${shown[index]?.option.padEnd(width)}  ${text}${typeof fallback === 'number' ? `; default ${fallback}` : ''}`,
  )
  return [...lines, '', about, '', ...says, '', `Exit code: ${exits}`].join('\n')
}

/** What somebody types to have the same again. */
export function repeatOf(
  name: string,
  options: Readonly<Record<string, string | number | boolean | null>>,
): string {
  const told = Object.entries(options).flatMap(([option, value]) => {
    if (value === null || value === false) return []
    return value === true ? [`--${option}`] : [`--${option} ${value}`]
  })
  return `pnpm ${[name, ...told].join(' ')}`
}

export interface RunContext {
  signal: AbortSignal
  onProgress: (message: string) => void
  /** Called with everything that happens, for who has to find out why something did not hold. */
  onEvent: (event: string) => void
}

/** Does one run within its time, and says how it goes on. Null when it came to no result. */
export async function tryRun<Result>(
  run: (context: RunContext) => Promise<Result>,
  options: { stop: AbortSignal; patienceMs: number; repeat?: string; trace?: string | null },
): Promise<Result | null> {
  const { stop, patienceMs, repeat, trace = null } = options
  const startedAt = performance.now()
  const elapsed = () => `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s`
  try {
    return await run({
      signal: AbortSignal.any([stop, AbortSignal.timeout(patienceMs)]),
      onProgress: (message) => print(`${elapsed()}  ${message}`),
      onEvent: (event) => trace !== null && appendFileSync(trace, `${elapsed()}  ${event}\n`),
    })
  } catch (error) {
    const { message, stack, cause } = error as Error
    process.stderr.write(`${stop.aborted ? message : stack}\n`)
    if (cause instanceof Error && !stop.aborted) process.stderr.write(`${cause.message}\n`)
    if (repeat !== undefined && !stop.aborted) process.stderr.write(`Repeat with: ${repeat}\n`)
    return null
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
