import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listFiles } from './listFiles.ts'

const MAX_BYTES = 1_500_000

/** A folder of one machine, at the start of a word: `./home/x` and `/api/work/x` are none. */
const MACHINE_PATH =
  /(?<![\w.~$})\]/\\-])(?:\/(?:home|Users)\/[\w.-]+|\/root\/|\/work\b(?!-)|[A-Za-z]:\\Users\\)/
/** oxlint finds `it.only` and its like; this finds the same as an option or at run time. */
const LEFT_OUT = /\b(?:only|skip|todo)\s*:\s*true\b|\b(?:ctx|context|task)\.skip\(/
/** A rule that is off for a line needs a reason after two dashes. */
const SILENCED = /\b(?:oxlint|eslint)-disable(?!.* -- \S)/
/** What ships and reads what others send, and a call there that throws for some of it, which ends a process in a listener. */
const SERVES = /^(?:packages\/(?:cli|engine|fastify|node-app)|apps\/(?:api|worker))\/src\//
const THROWS_FOR_ADDRESS =
  /\bnew URL\(\s*(?:\w+\.)*(?:request|req|raw|url|originalUrl|headers)\b|\bdecodeURI(?:Component)?\(\s*(?:\w+\.)*(?:request|req|raw)\b/

/** A row of the glossary's table of words: those that texts do not have, what they have instead, and which texts. */
const WORDS_ROW = /^\| ([^|]+) \| ([^|]+) \| (everywhere|product) \|$/gm

/** Words that the glossary refuses, with what people read instead. Code, routes and records may still be called so. */
interface RefusedWords {
  pattern: RegExp
  now: string
  isOfProduct: boolean
}

/** What people read: documents, and the texts of the console, the API, the commands and the alerts. */
const READ_BY_PEOPLE =
  /^(?:README\.md$|docs\/(?!glossary\.md$)|\.changeset\/|packages\/[\w-]+\/README\.md$|(?:apps\/console|packages\/(?:admin|alerts|cli))\/src\/)/
const OF_PRODUCT = /^(?:apps\/console|packages\/(?:admin|alerts|cli))\/src\//
/** Where prose stands in code: a text that begins with a capital or has a space, a comment, or a line of a screen that is no statement. */
const PROSE_IN_CODE =
  /(['"`])(?=[A-Z]|(?:(?!\1).)* )(?:(?!\1).)*\1|^\s*[A-Z][\w ]*(?: \{.*)?$|^\s*(?:\*|\/\/|\/\*\*) .*/g

/** Reports what should not be in a commit, whatever the kind of file. */
export async function checkHygiene(root: string): Promise<readonly string[]> {
  const [files, words] = await Promise.all([listFiles(root), readRefusedWords(root)])
  const problems = await Promise.all(files.map((path) => checkFile(root, path, words)))
  return problems.flat()
}

async function readRefusedWords(root: string): Promise<RefusedWords[]> {
  const glossary = await readFile(join(root, 'docs/glossary.md'), 'utf8').catch(() => '')
  return [...glossary.matchAll(WORDS_ROW)].map(([, words = '', now = '', where]) => ({
    pattern: new RegExp(`\\b(?:${words.split(', ').join('|')})\\b`, 'i'),
    now,
    isOfProduct: where === 'product',
  }))
}

async function checkFile(
  root: string,
  path: string,
  words: readonly RefusedWords[],
): Promise<string[]> {
  const { size } = await stat(join(root, path))
  if (size > MAX_BYTES) return [`${path}: has ${size} bytes, more than ${MAX_BYTES}`]
  const text = await readFile(join(root, path), 'utf8')
  if (text.includes('\0')) return []
  return text.split('\n').flatMap((line, index) => {
    const where = `${path}:${index + 1}`
    const machinePath = MACHINE_PATH.exec(line)
    return [
      ...(machinePath ? [`${where}: names a folder of one machine, ${machinePath[0]}`] : []),
      ...(isTest(path) && LEFT_OUT.test(line) ? [`${where}: leaves a test out`] : []),
      ...(SERVES.test(path) && THROWS_FOR_ADDRESS.test(line)
        ? [
            `${where}: throws for some addresses, and anybody can send one: use URL.parse, and answer 400 for null`,
          ]
        : []),
      ...findRefusedWords(path, line, words).map(
        ([word, now]) => `${where}: says "${word}", which the glossary calls "${now}"`,
      ),
      ...(isCode(path) && SILENCED.test(line)
        ? [`${where}: silences the linter without a reason; write it behind ' -- '`]
        : []),
    ]
  })
}

function findRefusedWords(path: string, line: string, words: readonly RefusedWords[]) {
  if (!READ_BY_PEOPLE.test(path)) return []
  const prose = proseOf(path, line)
  return words.flatMap(({ pattern, now, isOfProduct }) => {
    const found = isOfProduct && !OF_PRODUCT.test(path) ? null : pattern.exec(prose)
    return found ? [[found[0], now] as const] : []
  })
}

/** A line without what is code in it: names in back quotes, and addresses. */
function proseOf(path: string, line: string): string {
  const prose = isCode(path)
    ? (line.match(PROSE_IN_CODE) ?? []).join(' ')
    : line.replace(/`[^`]*`/g, '')
  return prose.replace(/\S*\/redrive\b|\(redrive\b|\bredrive \(/g, '')
}

function isTest(path: string): boolean {
  return /\.test\.[cm]?[jt]sx?$/.test(path)
}

function isCode(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path)
}
