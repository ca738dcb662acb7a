import { wrap, type Layout } from '../command/layout.ts'
import { nearestCommand } from './findTooling.ts'
import { type Framework, type PackageManager, type ProductFacts } from './inspectProduct.ts'
import { dependenciesOf } from './manifest.ts'
import type { InitPlan } from './planInit.ts'
import { aliasedImport, relativeImport } from './clientCode.ts'
import { VM_MODULES } from './writeFiles.ts'

export interface InitOutcome {
  /** The command that takes it back. Null without git. */
  undo: string | null
  isInstalled: boolean
  hasLocalPostgres: boolean
}

/** What to do next, and what to know before the first deployment. */
export function describeNext(
  facts: ProductFacts,
  plan: InitPlan,
  { undo, isInstalled, hasLocalPostgres }: InitOutcome,
  { paint, width }: Layout,
): string {
  const { scripts } = plan
  const { packageManager: manager, databaseVariable, hasDatabaseUrl } = facts
  const needsUrl = hasLocalPostgres || hasDatabaseUrl ? '' : `, with ${databaseVariable} set`
  const commands = [
    ...(isInstalled ? [] : [`${manager} install`]),
    nearestCommand(manager, 'roundsman dev'),
  ]
  const build = scripts.build ?? (facts.build?.by === 'tsc' ? runBuild(manager) : null)
  const parts = [
    `${paint('green', 'Written.')} ${undo === null ? 'There is no git repository here: undo it by hand.' : `To take it back: ${undo}`}`,
    [`Run now${needsUrl}:`, ...commands.map((command) => `  ${paint('bold', command)}`)].join('\n'),
    wrap(
      `It ${hasLocalPostgres ? 'starts PostgreSQL, ' : ''}creates the tables, runs measureDatabase, and prints the address of the console. Your dev server runs beside it.`,
      width,
    ),
    describeEnqueue(facts, plan, width),
    ...describeJavaScript(facts, plan, width),
    [
      'In production:',
      ...(build === null ? [] : [`  ${paint('bold', build)}`]),
      `  ${paint('bold', scripts.migration)}`,
      `  ${paint('bold', scripts.production)}`,
      wrap(
        `Start the worker by node itself: ${manager} run does not pass SIGTERM on, and running work could not finish.`,
        width,
      ),
    ].join('\n'),
    wrap('A run whose handler swallows an error ends as success: rethrow it.', width),
    ...describePlugin(facts, plan, width),
  ]
  return `\n${parts.join('\n\n')}\n`
}

function describeEnqueue(facts: ProductFacts, { places }: InitPlan, width: number): string {
  const payload = facts.schemaLibrary === null ? '{}' : `{ note: 'asked for' }`
  return [
    wrap('To enqueue it, in any transaction of yours and if that commits:', width),
    '',
    `  import { measureDatabase } from '${fromServer(facts, `${places.jobs}/index`)}'`,
    `  import { jobsClient } from '${fromServer(facts, places.jobsClient.replace(/\.ts$/, ''))}'`,
    '',
    `  await jobsClient.enqueue(tx, measureDatabase, ${payload})`,
    '',
    'Where there is no transaction:',
    '',
    `  await jobsClient.enqueueNow(measureDatabase, ${payload})`,
  ].join('\n')
}

/** How a server that no compiler builds loads what init wrote, which is TypeScript. */
function describeJavaScript(facts: ProductFacts, { places }: InitPlan, width: number): string[] {
  if (facts.hasTypeScript) return []
  const path = `${fromServer({ ...facts, importExtension: '' }, `${places.jobs}/index`)}.ts`
  const load = facts.isModule
    ? `import { jobs } from '${path}'`
    : `const { jobs } = require('${path}')`
  const text = `A server in JavaScript has to be started by tsx for that, or, from Node 22.18 on, to name the files with their ending: ${load}.`
  return [wrap(text, width)]
}

/** The path under which a file in the source folder imports it. */
function fromServer(facts: ProductFacts, path: string): string {
  const server = `${facts.sourceFolder || '.'}/server.ts`
  return facts.framework === 'next' || facts.framework === 'nuxt'
    ? aliasedImport(facts, server, path)
    : relativeImport(server, path, facts.importExtension)
}

/** How to add the console and its API to the product's own server. */
function describePlugin(facts: ProductFacts, { places }: InitPlan, width: number): string[] {
  const { framework } = facts
  if (framework === 'next' || framework === 'nuxt') {
    const text = places.console
      ? `Your own server has the console too, at ${places.console.basePath}. In production it refuses everybody until authorize in ${places.console.route} asks your log-in.`
      : `The places for the console's route are taken: docs/recipes/nextjs.md shows it.`
    return [wrap(text, width)]
  }
  if (framework === null) {
    const text = `For the console in your own server, behind your own log-in: createNodeHandler of @roundsman/admin for a server on node:http, createFetchHandler for one that answers a Request by a Response.`
    return [wrap(text, width)]
  }
  const lead = 'For the console in your own server, behind your own log-in, add to it:'
  const { imported, registered, at } = PLUGIN[framework]
  const lines = [
    `import { withEngineJobs } from '@roundsman/engine'`,
    ...imported,
    `import { jobs } from '${fromServer(facts, `${places.jobs}/index`)}'`,
    `import { jobsClient } from '${fromServer(facts, places.jobsClient.replace(/\.ts$/, ''))}'`,
    '',
    ...registered,
  ]
  const shown = lines.map((line) => (line === '' ? '' : `  ${line}`))
  return [[wrap(lead, width), '', ...shown, '', wrap(`It is then at ${at}.`, width)].join('\n')]
}

const OPTIONS = [
  '  client: jobsClient,',
  '  jobs: withEngineJobs(jobs),',
  '  authorize: (request) =>',
  '    isAdmin(request) ? { actor: nameOf(request), view: true, act: true } : null,',
]

const NODE_HANDLER = {
  imported: [`import { createNodeHandler } from '@roundsman/admin'`],
  registered: [
    '// Behind what reads who is logged in, and before what reads bodies.',
    'app.use(',
    '  createNodeHandler({',
    ...OPTIONS.map((line) => `  ${line}`),
    '  }),',
    ')',
  ],
  at: '/console',
}

const PLUGIN: Record<
  Exclude<Framework, 'next' | 'nuxt'>,
  { imported: string[]; registered: string[]; at: string }
> = {
  fastify: {
    imported: [`import { roundsman } from '@roundsman/fastify'`],
    registered: ['app.register(roundsman, {', ...OPTIONS, '})'],
    at: '/console',
  },
  express: NODE_HANDLER,
  nest: NODE_HANDLER,
  koa: {
    imported: [
      `import { createServer } from 'node:http'`,
      `import { createNodeHandler } from '@roundsman/admin'`,
    ],
    registered: [
      'const handle = createNodeHandler({',
      ...OPTIONS,
      '})',
      '// In the place of app.listen. The console answers its own addresses, and Koa all others.',
      'const answer = app.callback()',
      'createServer((request, response) =>',
      '  handle(request, response, () => void answer(request, response)),',
      ').listen(Number(process.env.PORT ?? 3000))',
    ],
    at: '/console',
  },
  hono: {
    imported: [`import { createFetchHandler } from '@roundsman/admin'`],
    registered: [
      'const handle = createFetchHandler({',
      `  basePath: '/admin/jobs',`,
      ...OPTIONS,
      '})',
      `app.all('/admin/jobs/*', ({ req }) => handle(req.raw))`,
    ],
    at: '/admin/jobs',
  },
}

function runBuild(manager: PackageManager): string {
  return manager === 'npm' || manager === 'bun' ? `${manager} run build` : `${manager} build`
}

const MIN_TYPESCRIPT = 5.8

/** What will keep it from working, and what to do about that. */
export function findWarnings(facts: ProductFacts): string[] {
  const { manifest, isModule, compilerOptions, testRunner } = facts
  const module = (compilerOptions.module ?? '').toLowerCase()
  const [, version] = /(\d+\.\d+)/.exec(dependenciesOf(manifest)['typescript'] ?? '') ?? []
  const isOld = version !== undefined && Number(version) < MIN_TYPESCRIPT && Number(version) >= 1
  const warnings: string[] = []
  if (facts.pooler !== null) {
    warnings.push(
      `${facts.databaseVariable} names a pooler in transaction mode, behind which a worker does not start. For the worker, and for roundsman.config.ts, ${facts.pooler}.`,
    )
  }
  if (!isModule && /^node(16|18)$/.test(module)) {
    warnings.push(
      `With "module": "${module}" a CommonJS file must not import an ES module, which @roundsman/engine is: set "module": "nodenext" in tsconfig.json (TypeScript 5.8 or later).`,
    )
  } else if (!isModule && /^node(20|next)$/.test(module) && isOld) {
    warnings.push(
      `TypeScript ${version} does not let CommonJS import an ES module, which @roundsman/engine is: 5.8 and later do.`,
    )
  }
  if (!isModule && compilerOptions.verbatimModuleSyntax) {
    warnings.push(
      'With "verbatimModuleSyntax" a CommonJS file can have no import: the files that are written are ES modules and need "type": "module" in package.json.',
    )
  }
  const scripts = Object.values(manifest.scripts ?? {})
  if (
    testRunner === 'jest' &&
    !scripts.some((script) => /^jest\b/.test(script) || script.includes(VM_MODULES))
  ) {
    warnings.push(
      `jest loads ES modules, which @roundsman/engine is made of, only where it is started with NODE_OPTIONS=${VM_MODULES}: tests that import what enqueues fail without it.`,
    )
  }
  return warnings
}
