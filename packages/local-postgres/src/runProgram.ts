import { spawn } from 'node:child_process'
import type { Account } from './resolveAccount.ts'

export interface RunProgramOptions {
  /** The account that runs the program. Default: the account of this process. */
  account?: Account | undefined
  cwd?: string
  /** Aborting it kills the program. */
  signal?: AbortSignal | undefined
}

export interface ProgramResult {
  /** Null when a signal ended the program. */
  exitCode: number | null
  /** What it wrote to stdout and stderr, in the order of arrival. */
  output: string
}

/**
 * Runs one of PostgreSQL's programs to its end, in a session of its own: Ctrl-C in the terminal must reach us and not the
 * program, which we end when it is time. Rejects when the program cannot be started.
 */
export function runProgram(
  file: string,
  args: string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  const { account, cwd, signal } = options
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      ...(signal === undefined ? {} : { signal }),
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnvironment(),
    })
    let output = ''
    const append = (chunk: string) => {
      output = (output + chunk).slice(-20_000)
    }
    child.stdout.setEncoding('utf8').on('data', append)
    child.stderr.setEncoding('utf8').on('data', append)
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, output: output.trim() }))
    child.on('exit', () => {
      // On Windows the server inherits pg_ctl's pipes, which would stay open for as long as it runs.
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, 1_000).unref()
    })
  })
}

/** PGDATA, PGPORT, PGOPTIONS and their like are meant for another server. LC_ALL: we parse the programs' messages. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'))
  return { ...Object.fromEntries(kept), LC_ALL: 'C' }
}
