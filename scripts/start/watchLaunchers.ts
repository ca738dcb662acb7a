import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'

const LAUNCHERS = new Set(['npx', 'npm', 'npx-cli.js', 'npm-cli.js', 'pnpm', 'pnpx', 'pn', 'pnx'])
const SHELLS = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox'])

interface ProcessInfo {
  pid: number
  parentPid: number
  words: string[]
}

export interface WatchLaunchersOptions {
  /** How often it looks. Default 500 ms. */
  intervalMs?: number
}

/**
 * Calls back when a launcher of this process has ended: SIGTERM to npx kills only its shell, and pnpm and node would go
 * on. It looks for parents that have changed. A service that was started without launchers has none to watch.
 */
export function watchLaunchers(
  onEnd: (name: string) => void,
  { intervalMs = 500 }: WatchLaunchersOptions = {},
): void {
  if (process.platform === 'win32') return
  const began = findLaunchers()
  const poll = async () => {
    const launchers = await began
    if (launchers.length === 0) return
    let pid = process.pid
    for (const launcher of launchers) {
      const parentPid = pid === process.pid ? process.ppid : (await readProcess(pid))?.parentPid
      if (parentPid !== launcher.pid) return onEnd(nameOf(launcher))
      pid = launcher.pid
    }
    setTimeout(() => void poll(), intervalMs).unref()
  }
  void poll()
}

/** The launchers and shells from our parent upwards. The last is a launcher: a shell above it is the user's own. */
async function findLaunchers(): Promise<ProcessInfo[]> {
  const chain: ProcessInfo[] = []
  let length = 0
  for (let pid = process.ppid; pid > 1;) {
    const found = await readProcess(pid)
    if (found === undefined) break
    const name = nameOf(found)
    if (!LAUNCHERS.has(name) && !SHELLS.has(name)) break
    chain.push(found)
    if (LAUNCHERS.has(name)) length = chain.length
    pid = found.parentPid
  }
  return chain.slice(0, length)
}

/**
 * The name of a launcher. npm renames itself to `npm exec …`; before that it is node with npx-cli.js as first argument.
 */
function nameOf({ words }: ProcessInfo): string {
  const [program = '', ...args] = words
  const name = basename(program)
  return name === 'node' ? basename(args.find((arg) => !arg.startsWith('-')) ?? '') : name
}

async function readProcess(pid: number): Promise<ProcessInfo | undefined> {
  return process.platform === 'linux' ? readFromProc(pid) : readFromPs(pid)
}

/** Reads a process from /proc; undefined once it has ended. */
async function readFromProc(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    // The name in brackets may hold anything; behind the last bracket stand the state and the parent.
    const parentPid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    const args = commandLine.split('\0').filter((arg) => arg !== '')
    // A process that renamed itself has one string instead.
    return { pid, parentPid, words: args.length === 1 ? (args[0] ?? '').split(' ') : args }
  } catch {
    return undefined
  }
}

async function readFromPs(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const args = ['-o', 'ppid=,args=', '-p', String(pid)]
    const { stdout } = await promisify(execFile)('ps', args)
    const [parent, ...words] = stdout.trim().split(/\s+/)
    return { pid, parentPid: Number(parent), words }
  } catch {
    return undefined
  }
}
