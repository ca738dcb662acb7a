import { findFreePort } from '@roundsman/local-postgres'
import { runTurbo } from '../runTurbo.ts'
import { awaitPorts } from './awaitPorts.ts'
import type { Progress } from './createProgress.ts'
import type { StopRequest } from './createStopRequest.ts'
import { startDatabase } from './startDatabase.ts'
import { readStackEnvironment } from './readStackEnvironment.ts'
import { INBOX_HOST, readyUrl, wantedPorts, type StackPorts } from './stackPorts.ts'

export interface StartOptions {
  /** Whether processes run from source, and reload changed code. */
  isDev: boolean
  progress: Progress
  stopRequest: StopRequest
}

/**
 * Runs the whole stack, from its environment to the exit code. It resolves once nothing of it is left.
 * @throws EnvironmentError before it has started anything
 */
export async function start(options: StartOptions): Promise<number> {
  const { isDev, stopRequest } = options
  const env = readStackEnvironment(process.env)
  const command = isDev ? 'npx -y pnpm@12 dev' : 'npx -y pnpm@12 start'
  const host = env.api.HOST
  const ports: StackPorts = {
    host,
    apiPort: env.api.PORT || (await findFreePort(host)),
    workerPort: env.worker.WORKER_PORT || (await findFreePort(host)),
    inbox: env.inbox && {
      webPort: env.inbox.INBOX_PORT || (await findFreePort(INBOX_HOST)),
      // Any port: only the worker needs it, and is told.
      smtpPort: await findFreePort(INBOX_HOST),
    },
  }
  await awaitPorts({
    host,
    ports: wantedPorts(ports),
    command,
    readyUrls: [ports.apiPort, ports.workerPort].map((port) => readyUrl(host, port)),
    drainTimeoutMs: env.worker.DRAIN_TIMEOUT_MS,
    onWait: () => process.stdout.write('Waiting for an earlier start to finish its work…\n'),
    signal: stopRequest.signal,
  })
  // turbo and PostgreSQL begin at once, and work while the rest of our code is loaded.
  const giveUp = new AbortController()
  const signal = AbortSignal.any([stopRequest.signal, giveUp.signal])
  const building = isDev ? undefined : runTurbo('build', { signal })
  building?.catch(() => undefined)
  const opening = startDatabase(env.api, signal)
  try {
    const { runStack } = await import('./runStack.ts')
    return await runStack({ ...options, env, ports, command, building, opening })
  } finally {
    // When a step was given up, the others end here.
    giveUp.abort()
    await building?.catch(() => undefined)
    await opening.opened.then(
      ({ release }) => release(),
      () => undefined,
    )
  }
}
