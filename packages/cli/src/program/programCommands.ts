import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { parseOptions } from '../command/parseOptions.ts'
import { ForeseenError, type Command } from '../command/runCommand.ts'
import { stopWithLauncher } from '../command/stopWithLauncher.ts'
import { reportLoaded } from '../dev/superviseWorkers.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { requireConfig, requireDatabaseUrl } from '../config/openProduct.ts'
import { describeBundle, PROGRAM } from './bundleProgram.ts'
import { needRolldown } from './needRolldown.ts'
import { runWorker } from './runProgram.ts'

export const workerCommand: Command = {
  usage: `Usage: roundsman worker

Runs a worker until Ctrl C or SIGTERM. Then running work has 25 s to finish. A second signal stops at once and gives the
work back to the queue. Database and handlers come from open() in roundsman.config.ts. The worker loads your TypeScript
directly, so it needs your sources and their packages; roundsman build writes one file that needs neither.

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`,
  async run(args, { variables }) {
    parseOptions(args, {})
    stopWithLauncher(variables)
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

Writes the worker as one file, from roundsman.config.ts and all its imports, packages included. Start it with node: it
needs neither your sources, nor a node_modules, nor this command line. With the argument migrate it creates the tables.

  --out FILE       default: ${PROGRAM}
  --external NAME  a package to leave out, since it has native parts or separate files (sharp, Prisma 6's client).
                   Install it where the worker runs

Exit code: 0 written, 1 not written, 2 usage`,
  async run(args, { stdout }) {
    const values = parseOptions(args, {
      out: { type: 'string' },
      external: { type: 'string', multiple: true },
    })
    const { path: config } = await requireConfig()
    const file = resolve(dirname(config), values.out ?? PROGRAM)
    await mkdir(dirname(file), { recursive: true })
    // Keeps it out of git, independent of the product's .gitignore.
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
