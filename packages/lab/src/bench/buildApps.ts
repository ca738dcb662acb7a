import { startProcess, WORKSPACE_ROOT } from './startProcess.ts'

/** What is started as it is deployed has to be built; what did not change is not built again. */
export async function buildApps(): Promise<void> {
  const build = startProcess('-y', {
    command: 'npx',
    args: ['pnpm@12', 'run', 'build'],
    cwd: WORKSPACE_ROOT,
  })
  const exitCode = await build.exited
  if (exitCode !== 0) throw new Error(`pnpm build failed:\n${build.lastLines().join('\n')}`)
}
