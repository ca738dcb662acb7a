import { spawn, type ChildProcess } from 'node:child_process'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand, stopGroup } from './runCommand.ts'

/** A copy of a product, outside of this repository and in one of its own. */
export interface Host {
  root: string
  run(command: string): Promise<string>
  /** From here on commands get packages from this registry. */
  setRegistry(env: Record<string, string>): void
  /** Starts a command that goes on. What it prints is told when something fails. */
  start(command: string): void
  /** Ends what was started, the last first. */
  stop(): Promise<void>
  applyPatch(text: string): Promise<void>
  /** Commits everything that has changed since the last time. */
  commit(message: string): Promise<void>
  /** The last link to this machine that one of them has printed. */
  findLink(): string | undefined
  /** The end of what the started commands have printed. */
  output(): string
}

export async function openHost(options: {
  /** What it is called here. */
  name: string
  /** Where it is copied from. */
  source: string
  folder: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
}): Promise<Host> {
  const { name, source, folder, signal } = options
  const env = { ...options.env }
  const root = join(folder, name)
  await cp(source, root, { recursive: true })
  const started: ChildProcess[] = []
  let output = ''
  const run = (command: string) => runCommand(command, { cwd: root, env, signal })
  const commit = async (message: string) => {
    const author = '-c user.name=Host -c user.email=host@example.com'
    await run(`git add --all && git ${author} commit --quiet --allow-empty --message '${message}'`)
  }
  await run('git init --quiet')
  await commit('As it was')
  return {
    root,
    run,
    setRegistry: (registry) => void Object.assign(env, registry),
    commit,
    start(command) {
      const child = spawn('bash', ['-c', `exec ${command}`], {
        cwd: root,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      const keep = (chunk: Buffer) => (output = `${output}${chunk.toString()}`.slice(-20_000))
      child.stdout.on('data', keep)
      child.stderr.on('data', keep)
      child.once('exit', (code) => (output += `\n${command} ended with ${code}\n`))
      started.push(child)
    },
    async stop() {
      for (const child of started.splice(0).toReversed()) await stopGroup(child)
      // A link that it has printed leads nowhere any more.
      output = ''
    },
    async applyPatch(text) {
      const file = join(folder, `${name}.diff`)
      await writeFile(file, text)
      await run(`git apply --whitespace=nowarn '${file}'`)
    },
    findLink: () => output.match(/http:\/\/127\.0\.0\.1:\d+\/\S+/g)?.at(-1),
    output: () => output,
  }
}
