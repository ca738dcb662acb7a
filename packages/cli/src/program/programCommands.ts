import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { parseOptions } from '../command/parseOptions.ts'
import { ForeseenError, type Command } from '../command/runCommand.ts'
import { reportLoaded } from '../dev/superviseWorkers.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { requireConfig, requireDatabaseUrl } from '../config/openProduct.ts'
import { describeBundle, PROGRAM } from './bundleProgram.ts'
import { needRolldown } from './needRolldown.ts'
import { runWorker } from './runProgram.ts'

export const workerCommand: Command = {
  usage: `Usage: roundsman worker

Runs a worker with what roundsman.config.ts opens, until it is told to stop: by Ctrl C or SIGTERM running work finishes,
for up to 25 s, and a second signal gives it back. It loads your TypeScript as it is, so it needs your sources and their
packages; roundsman build makes one file that needs neither.

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`,
  async run(args, { variables }) {
    parseOptions(args, {})
    try {
      const loaded = await requireConfig()
      const databaseUrl = requireDatabaseUrl(loaded, variables)
      await asForeseen(() => runWorker({ ...loaded.config, databaseUrl }, reportLoaded))
    } catch (error) {
      reportLoaded({ isReady: false })
      throw error
    }
    return 0
  },
}

export const buildCommand: Command = {
  usage: `Usage: roundsman build [--out FILE] [--external NAME]…

Writes the worker as one file, from roundsman.config.ts and all that it imports, packages included: to start by
node, in a place without your sources, a node_modules or this command line. With the argument migrate that file makes
the tables.

  --out FILE       default: ${PROGRAM}
  --external NAME  a package to leave out, since it has native parts or files of its own (sharp, Prisma 6's client): it
                   has to be installed where the worker runs

Exit code: 0 written, 1 not written, 2 usage`,
  async run(args, { stdout }) {
    const values = parseOptions(args, {
      out: { type: 'string' },
      external: { type: 'string', multiple: true },
    })
    const { path: config } = await requireConfig()
    const file = resolve(dirname(config), values.out ?? PROGRAM)
    await mkdir(dirname(file), { recursive: true })
    // Nobody commits it, whatever their .gitignore says.
    if (values.out === undefined) await writeFile(join(dirname(file), '.gitignore'), '*\n')
    const { output, ...input } = describeBundle({ config, file, external: values.external ?? [] })
    const { rolldown } = await needRolldown('build', () => import('rolldown'))
    const bundle = await rolldown(input)
    try {
      const written = await bundle.write(output)
      const bytes = written.output.reduce(
        (sum, one) => sum + (one.type === 'chunk' ? Buffer.byteLength(one.code) : 0),
        0,
      )
      const name = relative(process.cwd(), file)
      stdout.write(
        `${name}: ${Math.ceil(bytes / 1_000)} kB. Start it by: node --enable-source-maps ${name}\n`,
      )
    } catch (error) {
      throw new ForeseenError(`The worker could not be bundled: ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      await bundle.close()
    }
    return 0
  },
}
