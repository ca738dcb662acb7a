import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { collectOutput } from '@roundsman/testing'
import { onTestFinished } from 'vitest'
import { exitCodeOf } from '../../src/command/runCommand.ts'
import { initCommand } from '../../src/init/initCommand.ts'

export type Files = Readonly<Record<string, string | object>>

/** Writes a product into a folder of its own, which is removed with the test. */
export async function writeProduct(files: Files): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-product-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  for (const [path, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

export async function git(root: string, ...args: string[]): Promise<string> {
  const who = ['-c', 'user.name=Shop', '-c', 'user.email=shop@example.com']
  return (await promisify(execFile)('git', ['-C', root, ...who, ...args])).stdout
}

/** Writes a product and commits it. */
export async function commitProduct(files: Files): Promise<string> {
  const root = await writeProduct({ '.gitignore': 'node_modules\ndist\n', ...files })
  await git(root, 'init', '--quiet')
  await git(root, 'add', '--all')
  await git(root, 'commit', '--quiet', '--message', 'As it was')
  return root
}

/** Asks nothing, and leaves registries and databases alone. */
export const YES = ['--yes', '--no-install', '--no-postgres']

/** Runs init. `answer` is what a person types; undefined when there is nobody. */
export async function init(cwd: string, args: string[] = YES, answer?: string) {
  const output = collectOutput()
  const stdin = Object.assign(Readable.from(answer === undefined ? [] : [`${answer}\n`]), {
    isTTY: answer !== undefined,
  })
  const { stdout, stderr } = output
  const code = await exitCodeOf(initCommand, args, { variables: {}, stdout, stderr, stdin, cwd })
  return { code, ...output.texts() }
}

export async function readManifest(root: string) {
  const text = await readFile(join(root, 'package.json'), 'utf8')
  return JSON.parse(text) as {
    scripts: Record<string, string>
    dependencies: Record<string, string>
    devDependencies?: Record<string, string>
  }
}
