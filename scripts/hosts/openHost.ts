import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand, stopGroup } from './runCommand.ts'

/** A copy of a product, in a Git repository of its own outside this one. */
export interface Host {
  root: string
  run(command: string): Promise<string>
  /** Has all later commands get packages from this registry. */
  setRegistry(env: Record<string, string>): void
  /** Starts a command that goes on running. What it prints is shown when something fails. */
  start(command: string): void
  /** Ends all that start() started, the last first. */
  stop(): Promise<void>
  applyPatch(text: string): Promise<void>
  /** Commits all changes since the last commit. */
  commit(message: string): Promise<void>
  /** The end of what the started commands printed. */
  output(): string
}

/** Copies a product into a folder, and puts it under Git there. */
export async function openHost(options: {
  /** The name of the copy's folder. */
  name: string
  /** The folder to copy. Without it, the product is empty. */
  source?: string
  folder: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
}): Promise<Host> {
  const { name, source, folder, signal } = options
  const env = { ...options.env }
  const root = join(folder, name)
  if (source === undefined) await mkdir(root)
  else await cp(source, root, { recursive: true })
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
    },
    async applyPatch(text) {
      const file = join(folder, `${name}.diff`)
      await writeFile(file, text)
      await run(`git apply --whitespace=nowarn '${file}'`)
    },
    output: () => output,
  }
}
