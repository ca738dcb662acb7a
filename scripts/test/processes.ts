import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

interface Row {
  pid: number
  parentPid: number
  state: string
  command: string
}

/** Lists the processes that this one started, and those that they started. */
export async function listDescendants(pid: number): Promise<number[]> {
  const rows = await listProcesses()
  const found = [pid]
  for (const parent of found) {
    found.push(...rows.filter((row) => row.parentPid === parent).map((row) => row.pid))
  }
  return found.slice(1)
}

/** Those that have not ended. A zombie, which nobody has asked about since it ended, has. */
export async function stillRunning(pids: number[]): Promise<number[]> {
  const rows = await listProcesses()
  return pids.filter((pid) => rows.some((row) => row.pid === pid && !row.state.startsWith('Z')))
}

/** Finds the process that was started with this program. */
export async function findProgram(pids: number[], program: string): Promise<number> {
  const rows = await listProcesses()
  const found = rows.find(({ pid, command }) => pids.includes(pid) && command.includes(program))
  if (!found) throw new Error(`None of them runs ${program}`)
  return found.pid
}

/** The embedded server's pid; undefined without a lock file. */
export async function postgresPid(dataDir: string): Promise<number | undefined> {
  const file = `${dataDir}/postgres/data/postmaster.pid`
  const text = await readFile(file, 'utf8').catch(() => '')
  return text === '' ? undefined : Number(text.split('\n')[0])
}

async function listProcesses(): Promise<Row[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='])
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, parentPid, state = '', ...words] = line.trim().split(/\s+/)
      return { pid: Number(pid), parentPid: Number(parentPid), state, command: words.join(' ') }
    })
}
