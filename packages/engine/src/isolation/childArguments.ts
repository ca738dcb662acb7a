import { extname } from 'node:path'

/** Node options for one process only, and those that the child gets with values of its own. */
const NOT_FOR_CHILDREN =
  /^--?(inspect|debug|eval$|e$|print$|p$|pe$|check$|c$|interactive$|i$|test|watch|cpu-prof|heap-prof|prof|max[-_](old|semi)[-_]space|v8-pool)/
/** Options whose value may be the next argument. */
const WITH_VALUE = /^(-e|--eval|-p|--print|-pe|--inspect-port|--debug-port|--watch-path)$/

/**
 * Returns Node's arguments for a child that runs the same code as this process: with its loaders and conditions, but
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
    // When it runs from source, only this condition lets this package find the other packages.
    ...(extname(entry) === '.ts' ? ['--conditions=@roundsman/source'] : []),
    `--max-old-space-size=${memoryMb}`,
    // V8 takes three semi-spaces beside the old space.
    `--max-semi-space-size=${Math.min(16, Math.max(1, memoryMb >> 5))}`,
    entry,
  ]
}

/** Returns the environment without a debugger's port in NODE_OPTIONS: only one process can have the port. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS } = environment
  if (NODE_OPTIONS === undefined) return environment
  return {
    ...environment,
    NODE_OPTIONS: NODE_OPTIONS.replaceAll(/(^|\s)--inspect\S*/g, ''),
  }
}
