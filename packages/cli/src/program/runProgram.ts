import { inspect } from 'node:util'
import { run } from '@roundsman/engine/worker'
import { ForeseenError } from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import type { RoundsmanConfig } from '../config/config.ts'
import { migrateInWords } from '../migrate/migrateInWords.ts'

/**
 * Runs a worker with what the configuration opens, until a signal. What `roundsman build` writes calls it, so it loads no
 * command.
 * @throws ForeseenError when the configuration lacks what a worker needs, or the database
 */
export async function runWorker(
  config: RoundsmanConfig,
  onOpened: (state: { isReady: true }) => void = () => undefined,
): Promise<void> {
  const { jobs, schema } = config
  const databaseUrl = databaseUrlOf(config)
  if (!config.open) {
    throw new ForeseenError(
      'roundsman.config.ts has no `open`, which opens what handlers need: have it return { client, handlers, close }',
    )
  }
  const { client, handlers, worker, close } = await config.open()
  onOpened({ isReady: true })
  try {
    await asForeseen(() =>
      run({
        log: console,
        ...worker,
        databaseUrl,
        schema,
        jobs,
        client: client as never,
        handlers: handlers as never,
      }),
    )
  } finally {
    await close?.()
  }
}

/** The program that `roundsman build` writes: a worker, or, with the argument `migrate`, what makes its tables. */
export async function runProgram(config: RoundsmanConfig): Promise<never> {
  const [command, ...rest] = process.argv.slice(2)
  try {
    if (command === 'migrate' && rest.length === 0) {
      const { schema } = config
      const databaseUrl = databaseUrlOf(config)
      const said = await asForeseen(() => migrateInWords({ databaseUrl, schema }))
      process.stdout.write(`${said}\n`)
    } else if (command === undefined) {
      await runWorker(config)
    } else {
      throw new ForeseenError(
        `There is no command "${process.argv.slice(2).join(' ')}": none, or migrate`,
      )
    }
  } catch (error) {
    const said = error instanceof ForeseenError ? error.message : inspect(error)
    process.stderr.write(`${said}\n`)
    process.exit(1)
  }
  process.exit(0)
}

function databaseUrlOf({ databaseUrl = process.env['DATABASE_URL'] }: RoundsmanConfig): string {
  if (databaseUrl) return databaseUrl
  throw new ForeseenError('DATABASE_URL is not set, and roundsman.config.ts names no databaseUrl')
}
