// Starts all processes of the product, and ends once they have ended.
import { registerHooks } from 'node:module'
import { generateWhenStale } from '../generateWhenStale.ts'
import { createProgress } from './createProgress.ts'
import { createStopRequest, INTERRUPTED, StopRequested } from './createStopRequest.ts'

// Whoever read our output may have gone: we go on, or processes would be left behind.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

await import('../enableCompileCache.ts')

process.exit(await main())

/** Starts the stack and resolves to the exit code; a stop that came before it ran is no failure. */
async function main(): Promise<number> {
  const stopRequest = createStopRequest()
  const progress = createProgress(process.stdout)
  try {
    await generateWhenStale({
      signal: stopRequest.signal,
      around: (work) => progress.step('Generating the Prisma client', work),
    })
    // Everything below imports the generated client.
    resolveFromSource()
    const { start } = await import('./start.ts')
    const exitCode = await start({ isDev: process.argv.includes('--dev'), progress, stopRequest })
    return stopRequest.isImpatient() ? INTERRUPTED : exitCode
  } catch (error) {
    if (stopRequest.signal.aborted && isGivenUp(error)) {
      return stopRequest.isImpatient() ? INTERRUPTED : 0
    }
    process.stderr.write(`${describe(error)}\n`)
    return 1
  }
}

/** Whether a step was given up because we were asked to stop. Node's own functions then reject with an AbortError. */
function isGivenUp(error: unknown): boolean {
  return error instanceof StopRequested || (error instanceof Error && error.name === 'AbortError')
}

/** An expected error explains itself; any other needs its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isForeseen = error.name === 'Error' || error.name === 'EnvironmentError'
  return isForeseen ? error.message : (error.stack ?? error.message)
}

/**
 * Makes later imports take our packages from their sources, as `--conditions` would: scripts need no build, and nobody
 * has to remember the flag. Modules that were imported before stay as they are, so import dynamically after this call.
 */
function resolveFromSource(): void {
  const condition = '@roundsman/source'
  if (process.execArgv.some((argument) => argument.includes(condition))) return
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      nextResolve(specifier, { ...context, conditions: [condition, ...context.conditions] }),
  })
}
