import { withEngineJobs } from '@roundsman/engine'
import type { DatabasePlace, Product } from '../command/product.ts'
import { ForeseenError, type Terminal } from '../command/runCommand.ts'
import { callOf } from '../init/findTooling.ts'
import { asForeseen } from './asForeseen.ts'
import { loadConfig, type LoadedConfig } from './loadConfig.ts'

/** The product of the working directory. `databaseUrl`: another database than its own. */
export async function openProduct(terminal: Terminal, databaseUrl?: string): Promise<Product> {
  const loaded = await requireConfig()
  const { path, config } = loaded
  const jobs = withEngineJobs(config.jobs)
  const findPlace = (): DatabasePlace => ({
    databaseUrl: databaseUrl ?? requireDatabaseUrl(loaded, terminal.variables),
    schema: config.schema,
  })
  return {
    jobs,
    catalogue: jobs,
    isEnabled: true,
    cronVariable: null,
    within: (work) => asForeseen(async () => work(findPlace())),
    withHandlers: (work) =>
      asForeseen(async () => {
        const place = findPlace()
        if (!config.open) {
          throw new ForeseenError(
            `${path} has no \`open\`, which opens what handlers need: have it return { client, handlers, close }`,
          )
        }
        const { close, ...opened } = await config.open()
        try {
          return await work({ ...place, ...opened, log: lineLog(terminal) })
        } finally {
          await close?.()
        }
      }),
  }
}

/** @throws ForeseenError */
export async function requireConfig(): Promise<LoadedConfig> {
  const loaded = await loadConfig(process.cwd())
  if (loaded) return loaded
  throw new ForeseenError(
    `There is no roundsman.config.ts in ${process.cwd()} or above it in the product. ${await callOf('init')} writes one.`,
  )
}

/** @throws ForeseenError */
export function requireDatabaseUrl(
  loaded: LoadedConfig | null,
  variables: NodeJS.ProcessEnv,
): string {
  const databaseUrl = loaded?.config.databaseUrl ?? variables['DATABASE_URL']
  if (databaseUrl) return databaseUrl
  const place = loaded === null ? '' : `, and ${loaded.path} names no databaseUrl`
  throw new ForeseenError(
    `DATABASE_URL is not set${place}. A file of variables is read with --env-file .env`,
  )
}

/** The engine's and the handler's log lines go to standard error, since standard output is for the result. */
function lineLog({ stderr }: Terminal) {
  const write = (level: string) => (message: unknown, fields?: object) => {
    const { err, ...rest } = (fields ?? {}) as { err?: unknown }
    const facts = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''
    const cause = err instanceof Error ? `\n  ${err.stack ?? err.message}` : ''
    stderr.write(`${level} ${String(message)}${facts}${cause}\n`)
  }
  return { info: write('info'), warn: write('warn'), error: write('error') }
}
