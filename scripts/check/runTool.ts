import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'

/** This workspace's tools, also for another tree. */
const PROGRAMS = join(import.meta.dirname, '../../node_modules/.bin')
const TIMEOUT_MS = 300_000

export interface ToolResult {
  exitCode: number | null
  output: string
}

/** Runs a tool. If it does not end with 0, its whole output is the one problem. */
export async function runTool(
  root: string,
  program: string,
  args: readonly string[],
): Promise<readonly string[]> {
  const { exitCode, output } = await captureTool(root, program, args)
  return exitCode === 0 ? [] : [output || `${program} ended with ${exitCode} and wrote nothing`]
}

/** Runs a tool, and resolves to what it wrote, however it ended. */
export function captureTool(
  root: string,
  program: string,
  args: readonly string[],
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      env: {
        ...process.env,
        PATH: [PROGRAMS, process.env['PATH']].join(delimiter),
        NO_COLOR: '1',
        TURBO_TELEMETRY_DISABLED: '1',
        TURBO_NO_UPDATE_NOTIFIER: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      shell: process.platform === 'win32',
    })
    let output = ''
    const append = (chunk: string) => {
      output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', append)
    child.stderr.setEncoding('utf8').on('data', append)
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, output: output.trim() }))
  })
}
