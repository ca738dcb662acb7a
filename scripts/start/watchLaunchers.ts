import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

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
 * on. It has read who they are when it returns, and then looks for parents that have changed. A service that was started
 * without launchers has none to watch.
 */
export function watchLaunchers(
  onEnd: (name: string) => void,
  { intervalMs = 500 }: WatchLaunchersOptions = {},
): void {
  if (process.platform === 'win32') return
  const launchers = findLaunchers()
  if (launchers.length === 0) return
  const timer = setInterval(() => {
    const ended = findEnded(launchers)
    if (ended === undefined) return
    clearInterval(timer)
    onEnd(nameOf(ended))
  }, intervalMs).unref()
}

/** The launchers and shells from our parent upwards. The last is a launcher: a shell above it is the user's own. */
function findLaunchers(): ProcessInfo[] {
  const chain: ProcessInfo[] = []
  let length = 0
  for (let pid = process.ppid; pid > 1;) {
    const found = readProcess(pid)
    if (found === undefined) break
    const name = nameOf(found)
    if (!LAUNCHERS.has(name) && !SHELLS.has(name)) break
    chain.push(found)
    if (LAUNCHERS.has(name)) length = chain.length
    pid = found.parentPid
  }
  return chain.slice(0, length)
}

/** The launcher that is no longer the parent of the next. */
function findEnded(launchers: ProcessInfo[]): ProcessInfo | undefined {
  let parentPid: number | undefined = process.ppid
  for (const launcher of launchers) {
    if (parentPid !== launcher.pid) return launcher
    parentPid = readProcess(launcher.pid)?.parentPid
  }
  return undefined
}

/**
 * The name of a launcher. npm renames itself to `npm exec …`; before that it is node with npx-cli.js as first argument.
 */
function nameOf({ words }: ProcessInfo): string {
  const [program = '', ...args] = words
  const name = basename(program)
  return name === 'node' ? basename(args.find((arg) => !arg.startsWith('-')) ?? '') : name
}

/** Undefined once the process has ended. */
function readProcess(pid: number): ProcessInfo | undefined {
  try {
    return process.platform === 'linux' ? readFromProc(pid) : readFromPs(pid)
  } catch {
    return undefined
  }
}

function readFromProc(pid: number): ProcessInfo {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold anything; behind the last bracket stand the state and the parent.
  const parentPid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .filter((arg) => arg !== '')
  // A process that renamed itself has one string instead.
  return { pid, parentPid, words: args.length === 1 ? (args[0] ?? '').split(' ') : args }
}

function readFromPs(pid: number): ProcessInfo {
  const output = execFileSync('ps', ['-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' })
  const [parent, ...words] = output.trim().split(/\s+/)
  return { pid, parentPid: Number(parent), words }
}
