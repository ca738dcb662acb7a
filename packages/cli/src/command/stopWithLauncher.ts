/** How often the parent is looked at. */
const LOOK_MS = 500

/**
 * Sends this process SIGTERM once the package manager that started it has ended. npm and npx end at SIGTERM and signal only their
 * shell, so a worker would run on without anybody to stop it. Does nothing after a first signal, since a second one aborts what runs.
 */
export function stopWithLauncher(variables: NodeJS.ProcessEnv): void {
  const { ppid } = process
  // `roundsman dev` stops its workers itself.
  if (variables['npm_command'] === undefined || process.send) return
  const timer = setInterval(() => {
    if (process.ppid !== ppid) process.kill(process.pid, 'SIGTERM')
  }, LOOK_MS).unref()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => clearInterval(timer))
  }
}
