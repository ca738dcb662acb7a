import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'
import { beforeAll, expect, test } from 'vitest'

/*
 * Whether the code still goes the ways that docs/architecture.md walks. It finds a hop by names: of the function, of
 * what the hop before calls, and of the table or channel by which one actor hands over to the next. What a call passes
 * on, and whether it is ever made, is for the tests of behaviour.
 */

const ROOT = join(import.meta.dirname, '../..')
const ENGINE = 'packages/engine/src'
/** This file hands the parts of a worker to each other. */
const WIRING = 'createWorker.ts'
const MAX_HOPS = 12

interface Hop {
  file: string
  name: string
  way: string
  handsOn: string
}

interface Walk {
  title: string
  hops: Hop[]
}

/** A named piece of a file. */
interface Span {
  start: number
  end: number
  name: string
}

interface FileIndex {
  functions: Span[]
  /** `bare` for `name()`, not for `object.name()`. */
  calls: (Span & { bare: boolean })[]
  names: Span[]
  /** Constants of the module and their values. */
  constants: Span[]
  /** `name: value` of an object. */
  properties: Span[]
  texts: Span[]
  /** Local name to the file that it comes from. */
  imports: Map<string, string>
}

let files: Map<string, FileIndex>
let walks: Walk[]

beforeAll(async () => {
  const paths = (await readdir(join(ROOT, ENGINE), { recursive: true })).filter((path) =>
    path.endsWith('.ts'),
  )
  files = new Map(
    await Promise.all(
      paths.map(async (path) => {
        const text = await readFile(join(ROOT, ENGINE, path), 'utf8')
        return [path, indexFile(path, text)] as const
      }),
    ),
  )
  walks = readWalks(await readFile(join(ROOT, 'docs/architecture.md'), 'utf8'))
})

test('architecture.md walks three ways, of at most 12 hops each', () => {
  expect(walks.map(({ title }) => title)).toHaveLength(3)
  for (const { hops } of walks) {
    expect(hops.length).toBeGreaterThan(5)
    expect(hops.length).toBeLessThanOrEqual(MAX_HOPS)
  }
})

test('each hop of a walk is a function that the hop before leads to', () => {
  const problems = walks.flatMap(({ title, hops }) =>
    hops.flatMap((hop, index) =>
      checkHop(hop, hops[index - 1]).map((problem) => `${title}, hop ${index + 1}: ${problem}`),
    ),
  )
  expect(problems).toEqual([])
})

function checkHop(hop: Hop, before: Hop | undefined): string[] {
  const file = files.get(hop.file)
  if (file === undefined) return [`there is no ${ENGINE}/${hop.file}`]
  if (!file.functions.some(({ name }) => name === hop.name))
    return [`${hop.file} has no function ${hop.name}`]
  const problem = before === undefined ? null : checkWay(hop, before)
  return [...(problem === null ? [] : [problem]), ...checkCallsNamed(hop, file)]
}

/** Null when the hop before leads to this one as the walk says. */
function checkWay(hop: Hop, before: Hop): string | null {
  const source = files.get(before.file)
  if (source === undefined) return null
  const spans = reach(source, before.name)
  const [, kind, by = '', statement = ''] =
    /^(called|as|row|channel)(?: `(.+?)`)?(?:, found by `(\w+)`)?$/.exec(hop.way) ?? []
  switch (kind) {
    case 'called':
      return calls(source, spans, hop.name).some(
        ({ bare }) =>
          !bare || hop.file === before.file || source.imports.get(hop.name) === hop.file,
      )
        ? null
        : `${before.name} does not call ${hop.name}`
    case 'as':
      if (calls(source, spans, by).length === 0) return `${before.name} does not call ${by}`
      return isGiven(hop, before, by) ? null : `${hop.name} is nobody's ${by}`
    case 'row':
      if (!writes(by).test(textOf(statementsOf(before))))
        return `${before.name} writes no row of ${by}`
      return reads(by).test(textOf(statementsOf(hop, statement)))
        ? null
        : `${hop.name} finds no row of ${by} by ${statement}`
    case 'channel':
      if (!source.names.some((one) => one.name === by && isWithin(one, spans)))
        return `${before.name} does not name ${by}`
      return isHeard(hop, by) ? null : `nothing hands what comes by ${by} to ${hop.name}`
    default:
      return `nobody knows what "${hop.way}" means`
  }
}

/** Checks that what the last column names with brackets is called by the hop, or by what it calls. */
function checkCallsNamed({ file, handsOn }: Hop, index: FileIndex): string[] {
  const near = [
    index,
    ...[...new Set(index.imports.values())].flatMap((path) => files.get(path) ?? []),
  ]
  return [...handsOn.matchAll(/`(?:\w+\.)*(\w+)\(\)`/g)].flatMap(([, name = '']) =>
    near.some((one) => one.calls.some((call) => call.name === name))
      ? []
      : [`${file} and what it imports do not call ${name}`],
  )
}

/** Whether some file hands the function over under that name. */
function isGiven(hop: Hop, before: Hop, as: string): boolean {
  return [hop.file, before.file, WIRING].some((path) => {
    const file = files.get(path)
    return file?.properties.some(
      (property) =>
        property.name === as &&
        file.names.some((one) => one.name === hop.name && isWithin(one, [property])),
    )
  })
}

function isHeard(hop: Hop, channel: string): boolean {
  const file = files.get(WIRING)
  const listening = file?.calls.filter(
    (call) =>
      call.name === 'listen' &&
      file.names.some((one) => one.name === channel && isWithin(one, [call])),
  )
  return (
    file?.calls.some((call) => call.name === hop.name && isWithin(call, listening ?? [])) ?? false
  )
}

const writes = (table: string) => new RegExp(`(?:insert into|update)\\s+${RegExp.escape(table)}`)
const reads = (table: string) => new RegExp(`(?:from|join)\\s+${RegExp.escape(table)}`)

/** A piece of code from which statements are put together. */
interface Source {
  path: string
  name: string
  spans: readonly Span[]
}

/**
 * The function and the statements that it names, wherever they are put together; with `only`, that one and what it
 * names.
 */
function statementsOf({ file, name }: Hop, only?: string): Source[] {
  const index = files.get(file)
  if (index === undefined) return []
  const all = withStatements({ path: file, name, spans: reach(index, name) })
  if (only === undefined) return all
  return all.filter((source) => source.name === only).flatMap(withStatements)
}

function withStatements(first: Source): Source[] {
  const sources = [first]
  for (const { path, spans } of sources) {
    const file = files.get(path)
    for (const { name, ...place } of file?.names ?? []) {
      if (!/^[A-Z][A-Z\d_]+$|Sql$/.test(name) || !isWithin(place, spans)) continue
      const from = file?.imports.get(name) ?? path
      if (sources.some((source) => source.path === from && source.name === name)) continue
      const { constants = [], functions = [] } = files.get(from) ?? {}
      const declared = [...constants, ...functions].filter((span) => span.name === name)
      sources.push({ path: from, name, spans: declared })
    }
  }
  return sources
}

function textOf(sources: readonly Source[]): string {
  return sources
    .flatMap(
      ({ path, spans }) => files.get(path)?.texts.filter((one) => isWithin(one, spans)) ?? [],
    )
    .map(({ name }) => name)
    .join('\n')
}

/** The function, and all functions of its file that it calls, directly or not. */
function reach(file: FileIndex, name: string): Span[] {
  const spans = new Set<Span>()
  const names = [name]
  for (let next = names.pop(); next !== undefined; next = names.pop()) {
    for (const span of file.functions.filter((one) => one.name === next)) {
      if (spans.has(span)) continue
      spans.add(span)
      for (const call of file.calls) if (call.bare && isWithin(call, [span])) names.push(call.name)
    }
  }
  return [...spans]
}

function calls(file: FileIndex, spans: readonly Span[], name: string) {
  return file.calls.filter((call) => call.name === name && isWithin(call, spans))
}

function isWithin(one: Omit<Span, 'name'>, spans: readonly Span[]): boolean {
  return spans.some(({ start, end }) => start <= one.start && one.end <= end)
}

function indexFile(path: string, text: string): FileIndex {
  const { program, errors } = parseSync(path, text)
  expect(errors, path).toEqual([])
  const index: FileIndex = {
    functions: [],
    calls: [],
    names: [],
    constants: [],
    properties: [],
    texts: [],
    imports: new Map(),
  }
  const isFunction = (type: string | undefined) =>
    type === 'ArrowFunctionExpression' || type === 'FunctionExpression'
  new Visitor({
    ImportDeclaration: ({ source, specifiers }) => {
      if (!source.value.startsWith('.')) return
      const from = posix.join(posix.dirname(path), source.value)
      for (const { local } of specifiers) index.imports.set(local.name, from)
    },
    FunctionDeclaration: ({ id, start, end }) => {
      if (id !== null) index.functions.push({ name: id.name, start, end })
    },
    VariableDeclarator: ({ id, init, start, end }) => {
      if (id.type !== 'Identifier') return
      if (isFunction(init?.type)) index.functions.push({ name: id.name, start, end })
      else index.constants.push({ name: id.name, start, end })
    },
    Property: ({ key, value, start, end }) => {
      if (key.type !== 'Identifier') return
      if (isFunction(value.type)) index.functions.push({ name: key.name, start, end })
      index.properties.push({ name: key.name, start, end })
    },
    CallExpression: ({ callee, start, end }) => {
      if (callee.type === 'Identifier')
        index.calls.push({ name: callee.name, start, end, bare: true })
      else if (callee.type === 'MemberExpression' && callee.property.type === 'Identifier')
        index.calls.push({ name: callee.property.name, start, end, bare: false })
    },
    Identifier: ({ name, start, end }) => void index.names.push({ name, start, end }),
    Literal: ({ value, start, end }) => {
      if (typeof value === 'string') index.texts.push({ name: value, start, end })
    },
    TemplateElement: ({ value, start, end }) =>
      void index.texts.push({ name: value.raw, start, end }),
  }).visit(program)
  return index
}

/**
 * Reads the tables of a page, one below the heading of each walk: `| 1 | file | function | way | what it hands on |`.
 */
function readWalks(page: string): Walk[] {
  const [, walked = ''] = page.split('\n## Three walks\n')
  const [chapter = ''] = walked.split(/^## /m)
  return chapter
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [title = ''] = section.split('\n')
      const hops = [
        ...section.matchAll(/^\| \d+ \| `(.+?)` \| `(\w+)` \| (.*?) \| (.*) \|$/gm),
      ].map(([, file = '', name = '', way = '', handsOn = '']) => ({ file, name, way, handsOn }))
      return { title, hops }
    })
}
