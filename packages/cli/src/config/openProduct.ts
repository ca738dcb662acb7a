import { ArgumentError, withEngineJobs } from '@roundsman/engine'
import { openReader } from '@roundsman/engine/client'
import type { Looked, Product } from '../command/product.ts'
import { ForeseenError, type Terminal } from '../command/runCommand.ts'
import { explainDatabaseError } from './asForeseen.ts'
import { loadConfig, type LoadedConfig } from './loadConfig.ts'

const STATEMENT_TIMEOUT_MS = 10_000
/** Silent: what keeps it from reading is returned as the reason already. */
const QUIET = { warn: () => undefined }

/** The product of the working directory, for commands that only read. */
export async function openProduct({ variables = {} }: Terminal): Promise<Product> {
  const loaded = await requireConfig()
  const jobs = withEngineJobs(loaded.config.jobs)
  return {
    jobs,
    catalogue: jobs,
    isEnabled: true,
    cronVariable: null,
    look: (read) => look(loaded, variables, read),
  }
}

/** @throws ForeseenError */
export async function requireConfig(): Promise<LoadedConfig> {
  const loaded = await loadConfig(process.cwd())
  if (loaded) return loaded
  throw new ForeseenError(
    `There is no roundsman.config.ts in ${process.cwd()} or above it. npx roundsman init writes one.`,
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

async function look<Found>(
  loaded: LoadedConfig,
  variables: NodeJS.ProcessEnv,
  read: (reader: ReturnType<typeof openReader>) => Promise<Found>,
): Promise<Looked<Found>> {
  let reader: ReturnType<typeof openReader> | null = null
  try {
    reader = openReader({
      databaseUrl: requireDatabaseUrl(loaded, variables),
      schema: loaded.config.schema,
      poolSize: 1,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      log: QUIET,
    })
    return { found: await read(reader), reason: null }
  } catch (error) {
    // Nothing is wrong with the database then, but with the command line.
    if (error instanceof ArgumentError) throw error
    return { found: null, reason: explainDatabaseError(error) ?? (error as Error).message }
  } finally {
    await reader?.close()
  }
}
