import { extname } from 'node:path'

/** Of Node's options, those that are about one process only, or that a child is given its own of. */
const NOT_FOR_CHILDREN =
  /^--?(inspect|debug|eval$|e$|print$|p$|pe$|check$|c$|interactive$|i$|test|watch|cpu-prof|heap-prof|prof|max[-_](old|semi)[-_]space|v8-pool)/
/** Whose value may be an argument of its own. */
const WITH_VALUE = /^(-e|--eval|-p|--print|-pe|--inspect-port|--debug-port|--watch-path)$/

/**
 * Node's options for a child that runs what this process runs: from sources with the same loaders and conditions, but
 * without its debugger.
 */
export function childArguments(
  execArgv: readonly string[],
  { entry, memoryMb }: { entry: string; memoryMb: number },
): string[] {
  const kept: string[] = []
  for (let at = 0; at < execArgv.length; at++) {
    const argument = execArgv[at] as string
    if (!NOT_FOR_CHILDREN.test(argument)) kept.push(argument)
    else if (WITH_VALUE.test(argument)) at++
  }
  return [
    ...kept,
    // From its sources this package finds the others by this condition alone.
    ...(extname(entry) === '.ts' ? ['--conditions=@roundsman/source'] : []),
    `--max-old-space-size=${memoryMb}`,
    // Beside it, V8 takes three of them.
    `--max-semi-space-size=${Math.min(16, Math.max(1, memoryMb >> 5))}`,
    entry,
  ]
}

/** The environment as it is, but for a debugger's port, which only one process can have. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS } = environment
  if (NODE_OPTIONS === undefined) return environment
  return {
    ...environment,
    NODE_OPTIONS: NODE_OPTIONS.replaceAll(/(^|\s)--inspect\S*/g, ''),
  }
}
