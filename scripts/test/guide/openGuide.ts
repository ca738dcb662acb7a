import { execFile } from 'node:child_process'
import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findImports } from '../../check/findImports.ts'
import { readSteps } from '../../hosts/readSteps.ts'

const ROOT = join(import.meta.dirname, '../../..')

export interface Guide {
  /** Holds a folder for each page, with its blocks. */
  folder: string
  /** The files of each page, in the order of their first blocks. */
  files: ReadonlyMap<string, readonly string[]>
  close(): Promise<void>
}

/**
 * Writes the blocks of pages into a folder for each page, where this workspace's packages can be imported. `ts <path>`
 * is a file.
 */
export async function openGuide(pages: readonly string[]): Promise<Guide> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-guide-')))
  const close = () => rm(folder, { recursive: true, force: true })
  try {
    const files = new Map<string, string[]>()
    for (const page of pages) files.set(basename(page, '.md'), await writePage(page, folder))
    await linkPackages(folder)
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    return { folder, files, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Commands, drawings, answers, statements, which `documents.test.ts` runs, and `typescript`: programs of products that this
 * workspace does not install.
 */
const NOT_HERE: ReadonlySet<string> = new Set(['sh', 'text', 'json', 'sql', 'typescript'])

/** As strict as the strictest product. */
const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2025'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    verbatimModuleSyntax: true,
    // As Nest's have it.
    experimentalDecorators: true,
    noEmit: true,
    // The compiler also reads sources of this workspace.
    customConditions: ['@roundsman/source'],
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  },
  include: ['*/**/*.ts', '*/**/*.mts'],
}

/** The compiler's complaints; empty when all is well. */
export async function compile(folder: string): Promise<string> {
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  try {
    await promisify(execFile)(tsc, ['--project', folder, '--pretty', 'false'], { cwd: folder })
    return ''
  } catch (error) {
    const { stdout, message } = error as Error & { stdout?: string }
    return stdout || message
  }
}

async function writePage(page: string, folder: string): Promise<string[]> {
  const name = basename(page, '.md')
  const target = join(folder, name)
  const written: string[] = []
  await mkdir(target)
  for (const { line, language, note, text } of readSteps(
    await readFile(join(ROOT, page), 'utf8'),
  )) {
    if (language === 'ts' && note !== '') {
      await mkdir(dirname(join(target, note)), { recursive: true })
      await writeFile(join(target, note), text)
      written.push(note)
    } else if (!NOT_HERE.has(language)) {
      throw new Error(`${page}:${line}: nobody can tell whether a block of ${language} works`)
    }
  }
  return written
}

/** Links what the files import, and the types of Node, pg and Express. */
async function linkPackages(folder: string): Promise<void> {
  const names = new Set(['@types/node', '@types/pg', '@types/express'])
  const paths = (await readdir(folder, { recursive: true })).filter((path) => /\.m?ts$/.test(path))
  for (const path of paths) {
    for (const { specifier } of findImports(path, await readFile(join(folder, path), 'utf8'))) {
      const [, name] = /^((?:@[^/]+\/)?[^./][^/]*)/.exec(specifier) ?? []
      if (name !== undefined && !name.startsWith('node:')) names.add(name)
    }
  }
  const places = await listModuleFolders()
  for (const name of names) {
    const place = await firstThatHas(name, places)
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(await realpath(join(place, name)), join(folder, 'node_modules', name))
  }
}

async function listModuleFolders(): Promise<string[]> {
  const groups = await Promise.all(
    ['packages', 'apps'].map(async (group) =>
      (await readdir(join(ROOT, group))).map((room) => join(ROOT, group, room, 'node_modules')),
    ),
  )
  return [join(ROOT, 'node_modules'), ...groups.flat()]
}

async function firstThatHas(name: string, places: readonly string[]): Promise<string> {
  for (const place of places) {
    const isThere = await access(join(place, name)).then(
      () => true,
      () => false,
    )
    if (isThere) return place
  }
  throw new Error(`No package of this workspace depends on ${name}`)
}
