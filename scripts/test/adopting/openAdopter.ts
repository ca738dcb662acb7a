import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { listFiles } from '../../check/listFiles.ts'
import type { Step } from './readSteps.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../..')
/** What stands in a checkout of ours that has been installed, as far as an adopter needs it. */
const TAKEN =
  /^(packages\/engine|prisma)\/|^(tsconfig\.base\.json|package\.json|pnpm-workspace\.yaml)$/
const LINKED = [
  'node_modules',
  'packages/engine/node_modules',
  'packages/db',
  'packages/local-postgres',
  'packages/testing',
]

export interface Adopter {
  root: string
  run(command: string): Promise<string>
  /** Writes a file, applies a patch or runs a command. */
  take(step: Step): Promise<void>
  close(): Promise<void>
}

/**
 * A copy of the foreign monorepo, in a repository of its own, and of ours beside it: what is packed is
 * built there, where no other test looks.
 */
export async function openAdopter(env: Record<string, string>): Promise<Adopter> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-adopting-')))
  const root = join(folder, 'tideworks')
  const roundsman = join(folder, 'roundsman')
  await cp(join(import.meta.dirname, 'tideworks'), root, {
    recursive: true,
    filter: (path) => !/\/(node_modules|lib|prisma-client)$/.test(path),
  })
  await checkOut(roundsman)
  const environment = { ...(await foreignEnvironment(roundsman)), ...env }
  const background: ReturnType<typeof spawn>[] = []

  async function run(command: string): Promise<string> {
    const args = ['-euo', 'pipefail', '-c', command]
    try {
      const ending = promisify(execFile)('bash', args, { cwd: root, env: environment })
      // Nobody answers a question.
      ending.child.stdin?.end()
      return (await ending).stdout
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string }
      throw new Error(`${command}\nfailed:\n${stdout}${stderr}`, { cause: error })
    }
  }

  const commit = 'git -c user.name=Tideworks -c user.email=tideworks@example.com commit --quiet'
  await run(`git init --quiet && git add --all && ${commit} --message 'As it was'`)

  return {
    root,
    run,
    async take({ line, language, note, text }) {
      if (language === 'diff') {
        await writeFile(join(folder, 'step.diff'), text)
        await run(`git apply '${folder}/step.diff'`)
      } else if (language === 'sh' && note === '') {
        await run(text)
      } else if (language === 'sh' && note === 'background') {
        background.push(await startProgram(text, root, environment))
      } else if (note !== '') {
        await mkdir(dirname(join(root, note)), { recursive: true })
        await writeFile(join(root, note), text)
      } else {
        throw new Error(`Line ${line}: nobody knows what to do with a block of ${language}`)
      }
    },
    async close() {
      const exits = background.map((child) => stopProgram(child))
      const codes = await Promise.all(exits)
      await rm(folder, { recursive: true, force: true })
      if (codes.some((code) => code !== 0))
        throw new Error(`Programs ended with ${codes.join(', ')}`)
    },
  }
}

async function checkOut(target: string): Promise<void> {
  const files = (await listFiles(WORKSPACE_ROOT)).filter((path) => TAKEN.test(path))
  for (const path of files) await cp(join(WORKSPACE_ROOT, path), join(target, path))
  for (const path of LINKED) await symlink(join(WORKSPACE_ROOT, path), join(target, path))
}

async function foreignEnvironment(roundsman: string): Promise<NodeJS.ProcessEnv> {
  const modules = await readFile(join(WORKSPACE_ROOT, 'node_modules/.modules.yaml'), 'utf8')
  const store = /"storeDir": "(.*)"/.exec(modules)?.[1] ?? ''
  const launcher = process.env['npm_execpath'] ?? ''
  const inherited = Object.entries(process.env).filter(
    // What the test runner and our own pnpm have set is about our workspace.
    ([name]) => !/^(VITEST|npm_(package|lifecycle|command)|pnpm_|INIT_CWD|NODE_ENV)/.test(name),
  )
  return {
    ...Object.fromEntries(inherited),
    PATH: [
      join(import.meta.dirname, 'bin'),
      join(WORKSPACE_ROOT, 'node_modules/.bin'),
      process.env['PATH'],
    ].join(delimiter),
    ROUNDSMAN: roundsman,
    ADOPTING: import.meta.dirname,
    REAL_PNPM: launcher.includes('pnpm') ? launcher : 'npx --yes --prefer-offline pnpm@12',
    pnpm_config_store_dir: store.replace(/\/v\d+$/, ''),
    pnpm_config_offline: 'true',
    pnpm_config_frozen_lockfile: 'true',
    // How old a version is would be asked of the registry.
    pnpm_config_minimum_release_age: '0',
    pnpm_config_verify_deps_before_run: 'false',
    // Its commands look for a native engine and would fetch one; `generate` calls none.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
  }
}

/** Resolves once the program says that it is there. */
async function startProgram(command: string, cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn('bash', ['-c', `exec ${command}`], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      output += chunk.toString()
      if (/Jobs scheduler enabled|Server listening/.test(output)) resolve()
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}:\n${output}`)))
  })
  return child
}

async function stopProgram(child: ReturnType<typeof spawn>): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  return await new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    child.once('exit', (code) => {
      clearTimeout(timer)
      resolve(code)
    })
    child.kill('SIGTERM')
  })
}
