import { ArgumentError, withEngineJobs } from '@roundsman/engine'
import { serveConsole } from '@roundsman/admin'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import { ForeseenError, type Command, type StoppableTerminal } from '../command/runCommand.ts'
import { asForeseen } from './asForeseen.ts'
import { requireConfig, requireDatabaseUrl } from './openProduct.ts'

const USAGE = `Usage: roundsman console [--port N] [--host ADDRESS]

Serves the console on this machine, for products that do not serve it themselves. It prints a link that works once, and
runs until you stop it. The person who opens the link may see and do everything, under the name of this account.

  --port N        default: any free port
  --host ADDRESS  default: 127.0.0.1, which other machines cannot reach

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`

export const consoleCommand: Command<StoppableTerminal> = {
  usage: USAGE,
  async run(args, terminal) {
    const values = parseOptions(args, { port: { type: 'string' }, host: { type: 'string' } })
    const port = parseWholeNumber('--port', values.port, { min: 0, max: 65_535, otherwise: 0 })
    const loaded = await requireConfig()
    const { jobs, schema } = loaded.config
    const databaseUrl = requireDatabaseUrl(loaded, terminal.variables)
    const stop = terminal.listenForStop()
    const served = await asForeseen(() =>
      serveConsole({
        databaseUrl,
        ...(schema !== undefined && { schema }),
        jobs: withEngineJobs(jobs),
        port,
        ...(values.host !== undefined && { host: values.host }),
      }),
    ).catch((error: unknown) => {
      const isOfFlag = error instanceof ArgumentError && /^(host|port)$/.test(error.argument)
      throw isOfFlag ? new ForeseenError(`--${error.message}`, { cause: error }) : error
    })
    terminal.stdout.write(`The console is open, once, at ${served.link}\n`)
    if (!stop.aborted) {
      await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }))
    }
    await served.close()
    return 0
  },
}
