import { readFile } from 'node:fs/promises'
import type { Server } from './openServer.ts'

/** One execution of a statement. */
export interface Execution {
  text: string
  ms: number
}

/** Gives `work` a function that reads from the server's log how long each execution took, with its planning. */
export async function withDurations<Value>(
  server: Server,
  url: string,
  work: (read: () => Promise<Execution[]>) => Promise<Value>,
): Promise<Value> {
  const name = new URL(url).pathname.slice(1)
  const { length } = await readFile(server.logFile)
  await server.query(`alter system set log_line_prefix = '%p|'`)
  await server.query('select pg_reload_conf()')
  await server.query(`alter database "${name}" set log_min_duration_statement = 0`)
  try {
    return await work(async () =>
      readExecutions((await readFile(server.logFile)).subarray(length).toString()),
    )
  } finally {
    await server.query(`alter database "${name}" reset log_min_duration_statement`)
    await server.query('alter system reset log_line_prefix')
    await server.query('select pg_reload_conf()')
  }
}

/** Those of the statements that begin so, in milliseconds. */
export function durationsOf(executions: readonly Execution[], beginning: string): number[] {
  return executions.flatMap(({ text, ms }) => (text.startsWith(beginning) ? [ms] : []))
}

/** Adds up parsing, planning and execution, which are separate lines of a process. */
function readExecutions(log: string): Execution[] {
  const executions: Execution[] = []
  const planned = new Map<string, number>()
  const line =
    /^(\d+)\|LOG:\s+duration: ([\d.]+) ms\s+(parse|bind|execute|statement)[^:]*:\s+([^]*?)(?=^\d+\||$(?![^]))/gm
  for (const [, pid = '', ms = '', step, text = ''] of log.matchAll(line)) {
    const soFar = Number(ms) + (step === 'statement' ? 0 : (planned.get(pid) ?? 0))
    if (step === 'execute' || step === 'statement') {
      executions.push({ text: text.trim(), ms: soFar })
      planned.delete(pid)
    } else planned.set(pid, soFar)
  }
  return executions
}
