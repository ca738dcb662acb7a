import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject } from 'vitest'
import { init, readManifest, writeProduct } from '../../../packages/cli/test/init/product.ts'
import { WORKSPACE_ROOT } from '../stack.ts'
import { link } from './installPacked.ts'
import type { TriedProduct } from './products.ts'

const COMPILERS = {
  5: join(WORKSPACE_ROOT, 'node_modules/typescript-5.8/lib/tsc.js'),
  7: join(WORKSPACE_ROOT, 'node_modules/typescript/bin/tsc'),
}

/** Links all that its package.json names, as an install would bring it. */
async function install(root: string): Promise<void> {
  const { dependencies, devDependencies } = await readManifest(root)
  for (const name of ['@types/node', ...Object.keys({ ...dependencies, ...devDependencies })]) {
    const target = inject('installed').folders[name]
    // Undefined is a framework that no file of the product imports.
    if (target !== undefined) await link(target, join(root, 'node_modules', name))
  }
}

export async function prepare({ files, server }: TriedProduct): Promise<string> {
  const root = await writeProduct(files)
  const { code, stdout, stderr } = await init(root)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  await install(root)
  if ('prisma/schema.prisma' in files) await generateClient(root)
  if (server) await writeFile(join(root, 'src/server.ts'), server(readPluginLines(stdout)))
  return root
}

/** Generates the Prisma client. Prisma would look for an engine that `generate` never calls, and download it. */
async function generateClient(root: string): Promise<void> {
  const cli = createRequire(join(WORKSPACE_ROOT, 'packages/db/package.json')).resolve(
    'prisma/build/index.js',
  )
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
  await promisify(execFile)(process.execPath, [cli, 'generate'], { cwd: root, env })
}

/** Reads the lines that init tells people to add to their server: imports, an empty line, and the rest. */
function readPluginLines(stdout: string): { imported: string; registered: string } {
  const [, block = ''] = /add to it:\n\n((?: {2}.*\n|\n)+?)\nIt is then at/.exec(stdout) ?? []
  const [imported = '', ...rest] = block.replaceAll(/^ {2}/gm, '').split('\n\n')
  expect(imported).toContain('import ')
  return { imported, registered: rest.join('\n\n') }
}

/** The compiler's complaints about the product, without those about how foreign declarations fit each other. */
export async function compile(root: string, compiler: 5 | 7, ...args: string[]): Promise<string[]> {
  const run = promisify(execFile)(
    process.execPath,
    [COMPILERS[compiler], '--pretty', 'false', ...args],
    {
      cwd: root,
    },
  )
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string })
  const isOfOthers = (line: string) =>
    /node_modules\/(?!@?roundsman)/.test(line) || /^\s/.test(line)
  return stdout.split('\n').filter((line) => line !== '' && !isOfOthers(line))
}
