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

/** A row of the glossary's table of words: the refused words, the words to use instead, and where. */
const WORDS_ROW = /^\| ([^|]+) \| ([^|]+) \| (everywhere|texts|documents) \|$/gm
type Where = 'everywhere' | 'texts' | 'documents'

/** Words that the glossary refuses, with those to use instead. Names in code, routes and records are free. */
interface RefusedWords {
  pattern: RegExp
  now: string
  where: Where
}

/** Documents, except the glossary and generated pages, and the packages' READMEs. */
const DOCUMENT =
  /^(?:README\.md$|docs\/(?!glossary\.md$|reference\/).*\.md$|\.changeset\/|packages\/[\w-]+\/README\.md$)/
/** The published packages, whose comments become the reference. */
const PUBLISHED = /^packages\/(?:admin|alerts|cli|engine|fastify|sweep)\/src\//
const OF_PRODUCT = /^(?:apps\/console|packages\/(?:admin|alerts|cli))\/src\//
const WITH_TEXTS =
  /^(?:apps\/console|packages\/(?:admin|alerts|cli|engine|fastify|lab|local-postgres|sweep))\/src\//
/** Decisions of the past, and notes on changes, stay as they were written. */
const DECISION = /^(?:docs\/adr|\.changeset)\//
const READ_IN: Record<Where, (path: string) => boolean> = {
  everywhere: (path) => DOCUMENT.test(path) || OF_PRODUCT.test(path),
  texts: (path) => (DOCUMENT.test(path) && !DECISION.test(path)) || WITH_TEXTS.test(path),
  documents: (path) => (DOCUMENT.test(path) && !DECISION.test(path)) || PUBLISHED.test(path),
}
/** Prose in code: a text that begins with a capital or has a space, a comment, or a line of a screen. */
const PROSE_IN_CODE =
  /(['"`])(?=[A-Z]|(?:(?!\1).)* )(?:(?!\1).)*\1|^\s*[A-Z][\w ]*(?: \{.*)?$|^\s*(?:\*|\/\/|\/\*\*) (?!Race:).*/g
const COMMENT_IN_CODE = /^\s*(?:\*|\/\/|\/\*\*|--) (?!Race:).*/g
/** A comment that begins with "What" hides its subject. */
const WHAT_COMMENT = /^\s*(?:\/\*\*|\/\/) What (?!.*\?)/
/** A docstring, or a paragraph, a list item or a cell of a document, has no longer sentence. */
const MAX_WORDS = 35

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
    where: where as Where,
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
  const prose = text
    .replaceAll(/^ *```.*?^ *```/gms, (code) => code.replaceAll(/.+/g, ''))
    .split('\n')
  const lines = text.split('\n').flatMap((line, index) => {
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
      ...findRefusedWords(path, isCode(path) ? line : (prose[index] ?? ''), words).map(
        ([word, now]) => `${where}: says "${word}", which the glossary calls "${now}"`,
      ),
      ...(PUBLISHED.test(path) && WHAT_COMMENT.test(line)
        ? [`${where}: begins a comment with "What": name the thing`]
        : []),
      ...(isCode(path) && SILENCED.test(line)
        ? [`${where}: silences the linter without a reason; write it behind ' -- '`]
        : []),
    ]
  })
  return [...lines, ...findLongSentences(path, text)]
}

/** Finds sentences of more than MAX_WORDS words. A quotation, a name and an address count as one word. */
function findLongSentences(path: string, text: string): string[] {
  const isDocument = READ_IN.documents(path) && !isCode(path) && path !== 'docs/upgrading.md'
  if (!isDocument && !(PUBLISHED.test(path) && isCode(path))) return []
  const blocks = isDocument
    ? text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '').split(/\n\s*\n|(?<!\\)\||\n *(?:[-*]|\d+\.) /)
    : [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].flatMap(([, comment = '']) =>
        comment.replaceAll(/^\s*\* ?/gm, '').split(/\n\s*\n|\n(?= {2}|@|- )/),
      )
  return blocks
    .flatMap((block) =>
      block
        .replaceAll(/`[^`]*`|(?<!\*)\*(?!\*)[^*]+\*(?!\*)/g, 'x')
        .replaceAll(/\]\([^)]*\)/g, ']')
        .split(/(?<=[.!?:;][)"*]*)\s/),
    )
    .map((sentence) => sentence.trim().split(/\s+/))
    .filter((words) => words.length > MAX_WORDS)
    .map(
      (words) =>
        `${path}: has a sentence of ${words.length} words: ${words.slice(0, 8).join(' ')} …`,
    )
}

function findRefusedWords(path: string, line: string, words: readonly RefusedWords[]) {
  return words.flatMap(({ pattern, now, where }) => {
    const found = READ_IN[where](path) ? pattern.exec(proseOf(path, line, where)) : null
    return found ? [[found[0], now] as const] : []
  })
}

/** A line without code (names in back quotes, and addresses) and without quoted titles of tests. */
function proseOf(path: string, line: string, where: Where): string {
  const inCode = where === 'documents' ? COMMENT_IN_CODE : PROSE_IN_CODE
  const prose = isCode(path)
    ? (line.match(inCode) ?? []).join(' ')
    : line.replaceAll(/`[^`]*`/g, '')
  return prose
    .replaceAll(/\]\([^)]*\)|(?<![*\s])\*(?!\*)[^*]+\*(?!\*)|(?<= )\*(?![*\s])[^*]+\*(?!\*)/g, '')
    .replace(/\S*\/redrive\b|\(redrive\b|\bredrive \(/g, '')
}

function isTest(path: string): boolean {
  return /\.test\.[cm]?[jt]sx?$/.test(path)
}

function isCode(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path)
}
