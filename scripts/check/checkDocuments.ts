import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { renderReference } from '../reference/renderReference.ts'
import { listFiles } from './listFiles.ts'

/** Where a path in a document may begin, besides the document's own folder. */
const BASES = ['', 'packages/engine', 'apps/worker', 'apps/console']
const PATH = /^(?:apps|docs|packages|prisma|reports|scripts|src|test)\/[\w./-]+$/
const VARIABLE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/
const PNPM =
  /\bpnpm(?:@\d+)? ((?:--?[\w-]+(?:[= ](?:"[^"]*"|'[^']*'|[\w@./$-]+))? )*)([a-z][\w:-]*)/g
/** Commands of pnpm itself. */
const PNPM_COMMANDS = new Set(['add', 'exec', 'install', 'pack', 'why'])
/** Each paragraph and table row has its tests as `file`: *title*, with an ellipsis for what differs from case to case. */
const CITES_TESTS = /^docs\/(?:guarantees|mail)\.md$/
const OF_TESTS = /(?:^|\/)(?:test|e2e)\//
const TITLE = /(?<!\*)\*([^*]{4,})\*(?!\*)/g
/** Pages for other products, where commands are theirs. */
const OF_OTHERS = /^docs\/(?:adopting|quickStart|(?:recipes|frameworks)\/\w+|comingFrom\/\w+)\.md$/
/** Pages for products that use the packages. The page of the environment alone has this repository's own product. */
const FOR_PRODUCTS =
  /^docs\/(?!(?:adr|reference)\/|(?:architecture|environment|guarantees|mail|releasing)\.md)/
const ENVIRONMENT = 'docs/environment.md'
/** Variables that every product has. */
const OF_ALL: ReadonlySet<string> = new Set(['DATABASE_URL', 'HOST', 'NODE_ENV', 'PORT'])
/** Variables that libraries read themselves. */
const OF_LIBRARIES = /^(?:NEXT|NODE|OTEL|PG)_?[A-Z]/

/**
 * Reports what documents name and does not exist (links and their headings, files, commands, variables, the tests of
 * guarantees), and pages written from the code that are out of date.
 */
export async function checkDocuments(root: string): Promise<readonly string[]> {
  const files = await listFiles(root)
  const documents = files.filter((path) => path.endsWith('.md'))
  const texts = new Map<string, string>()
  for (const path of documents) texts.set(path, await readFile(join(root, path), 'utf8'))
  const known: Known = {
    paths: new Set(files.flatMap(withFolders)),
    scripts: await readScripts(root),
    headings: new Map([...texts].map(([path, text]) => [path, headingsOf(text)])),
    own: variablesOf(texts.get(ENVIRONMENT) ?? ''),
    ...(await findVariables(root, files)),
  }
  const reference = await renderReference(root)
  const cited = [...texts]
    .filter(([path]) => CITES_TESTS.test(path))
    .map(([path, text]) => checkCitedTests(root, path, text, known))
  return [
    ...[...texts].flatMap(([path, text]) => checkDocument(path, text, known)),
    ...(await Promise.all(cited)).flat(),
    ...[...reference]
      .filter(([path, text]) => texts.get(path) !== text)
      .map(([path]) => `${path}:1: is not what the docstrings say: pnpm docs:reference`),
  ]
}

interface Known {
  /** Files and folders. */
  paths: ReadonlySet<string>
  scripts: ReadonlySet<string>
  headings: ReadonlyMap<string, ReadonlySet<string>>
  variables: ReadonlySet<string>
  /** Variables of this repository's own product. */
  own: ReadonlySet<string>
  /** How the names of variables end that are put together, such as one for each job. */
  suffixes: readonly string[]
}

/**
 * Checks a page line by line. Links count outside code, commands inside shell blocks and code spans, the rest in spans.
 */
function checkDocument(path: string, text: string, known: Known): string[] {
  const problems: string[] = []
  let fence: string | null = null
  for (const [index, line] of text.split('\n').entries()) {
    const report = (problem: string) => problems.push(`${path}:${index + 1}: ${problem}`)
    const opened = /^\s*```(\w*)/.exec(line)
    if (opened) {
      fence = fence === null ? (opened[1] ?? '') : null
      continue
    }
    if (fence === null) {
      for (const [, target = ''] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
        const problem = checkLink(path, target, known)
        if (problem !== null) report(problem)
      }
    }
    const isCommand = fence === 'sh' || fence === ''
    const spans =
      fence === null ? [...line.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code) : []
    for (const code of isCommand ? [line] : spans) {
      for (const [, options = '', name = ''] of code.matchAll(PNPM)) {
        // A command in another workspace is that workspace's.
        if (/--dir|--filter/.test(options) || PNPM_COMMANDS.has(name)) continue
        // These pages speak of scripts of another product.
        if (OF_OTHERS.test(path)) continue
        if (!known.scripts.has(name)) report(`there is no script for \`pnpm ${name}\``)
        else if (FOR_PRODUCTS.test(path)) report(`\`pnpm ${name}\` belongs in ${ENVIRONMENT}`)
      }
    }
    for (const code of spans) {
      const name = /^([A-Z][A-Z0-9_]*)(?:=.*)?$/.exec(code)?.[1] ?? ''
      if (VARIABLE.test(name) && !isRead(name, known)) {
        report(`nothing reads or says ${name}`)
      }
      if (FOR_PRODUCTS.test(path) && known.own.has(name)) {
        report(`${name} belongs in ${ENVIRONMENT}`)
      }
      if (PATH.test(code) && findPath(path, code, known) === undefined) {
        report(`there is no ${code}`)
      }
    }
  }
  return problems
}

function checkLink(path: string, target: string, { paths, headings }: Known): string | null {
  if (/^[a-z]+:/.test(target)) return null
  const [file = '', heading] = target.split('#')
  const found = file === '' ? path : posix.join(posix.dirname(path), file).replace(/\/$/, '')
  if (!paths.has(found)) return `links to ${target}, which does not exist`
  if (heading === undefined || headings.get(found)?.has(heading)) return null
  return `links to ${target}, and there is no such heading`
}

/** Finds the file or folder that a document names. */
function findPath(path: string, name: string, { paths }: Known): string | undefined {
  const wanted = name.replace(/\/$/, '')
  return [...BASES, posix.dirname(path)]
    .map((base) => posix.join(base, wanted))
    .find((found) => paths.has(found))
}

/** Checks that each guarantee names tests, that each file of tests has a title, and that each title is in one of the files. */
async function checkCitedTests(
  root: string,
  path: string,
  text: string,
  known: Known,
): Promise<string[]> {
  const problems: string[] = []
  let line = 1
  // Paragraphs, and rows of tables.
  for (const block of text.split(/^(?=\||\n)/m)) {
    const report = (problem: string) => problems.push(`${path}:${line}: ${problem}`)
    const sources = new Map<string, string>()
    for (const [, name = ''] of block.matchAll(/`([\w./-]+\.tsx?)`/g)) {
      const found = findPath(path, name, known)
      if (found === undefined && !PATH.test(name))
        report(`there is no ${name}: write its whole path`)
      if (found !== undefined && OF_TESTS.test(found))
        sources.set(name, await readFile(join(root, found), 'utf8'))
    }
    const titles = [...block.matchAll(TITLE)].map(([, title = '']) => title.replaceAll('\n', ' '))
    for (const title of titles) {
      if (![...sources.values()].some((source) => hasTitle(source, title)))
        report(`names the test "${title}", which is in no file that is named beside it`)
    }
    const tests = [...sources].filter(([name]) => name.endsWith('.test.ts'))
    for (const [name, source] of tests) {
      if (!titles.some((title) => hasTitle(source, title)))
        report(`names no test of ${name}: *title*`)
    }
    if (block.startsWith('| **') && tests.length === 0) report('names no test of this guarantee')
    line += block.split('\n').length - 1
  }
  return problems
}

function hasTitle(source: string, title: string): boolean {
  const parts = title.split('…').map((part) => RegExp.escape(part.trim()))
  return new RegExp(parts.join('.*')).test(source)
}

function isRead(name: string, { variables, suffixes }: Known): boolean {
  if (variables.has(name) || OF_LIBRARIES.test(name)) return true
  return suffixes.some((suffix) => name.endsWith(suffix))
}

function withFolders(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** The anchors that GitHub makes of headings. */
function headingsOf(text: string): Set<string> {
  const titles = text.matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...titles].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

async function readScripts(root: string): Promise<Set<string>> {
  const text = await readFile(join(root, 'package.json'), 'utf8')
  return new Set(Object.keys((JSON.parse(text) as { scripts?: object }).scripts ?? {}))
}

/** The variables of a page's tables, without those that every product has. */
function variablesOf(text: string): Set<string> {
  const cells = [...text.matchAll(/^\| (`[A-Z].*?) \|/gm)].map(([, cell = '']) => cell)
  const names = cells.flatMap((cell) => cell.match(/(?<=`)[A-Z][A-Z0-9_]+(?=`)/g) ?? [])
  return new Set(names.filter((name) => !OF_ALL.has(name)))
}

/** Finds all words in capitals that stand anywhere but in a document. */
async function findVariables(
  root: string,
  files: readonly string[],
): Promise<Pick<Known, 'variables' | 'suffixes'>> {
  const variables = new Set<string>()
  const suffixes = new Set<string>()
  const sources = files.filter((path) =>
    /\.([cm]?[jt]sx?|json|ya?ml|sh|sql|prisma)$|^\.|Procfile/.test(path),
  )
  for (const path of sources) {
    const text = await readFile(join(root, path), 'utf8')
    for (const [name] of text.matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)) variables.add(name)
    for (const [, suffix = ''] of text.matchAll(/\}((?:_[A-Z0-9]+)+)[`']/g)) suffixes.add(suffix)
  }
  return { variables, suffixes: [...suffixes] }
}
