import { wrap, type Layout } from '../command/layout.ts'
import { dependenciesOf, type PackageManager, type ProductFacts } from './inspectProduct.ts'
import type { InitPlan } from './planInit.ts'
import { relativeImport } from './clientCode.ts'

/** What a person does now, at most three commands, and what is worth knowing before the first deployment. */
export function describeNext(
  facts: ProductFacts,
  plan: InitPlan,
  undo: string | null,
  { paint, width }: Layout,
): string {
  const { scripts } = plan
  const needsBuild = facts.build?.by === 'tsc' && !/\b(tsx|ts-node)\b/.test(workerOf(plan))
  const commands = [
    `${facts.packageManager} install`,
    scripts.migrate,
    needsBuild ? `${runBuild(facts.packageManager)} && ${scripts.worker}` : scripts.worker,
  ]
  const has = facts.envFile === null ? `, with ${facts.databaseVariable} set` : ''
  const parts = [
    `${paint('green', 'Written.')} ${undo === null ? 'There is no git here to take it back with.' : `To take it back: ${undo}`}`,
    [`Run now${has}:`, ...commands.map((command) => `  ${paint('bold', command)}`)].join('\n'),
    wrap(
      `Then ${nearestCommand(facts.packageManager, 'roundsman console')} shows what runs; measureDatabase does each minute.`,
      width,
    ),
    [
      wrap(`In production, start the worker by`, width),
      `  ${paint('bold', scripts.production)}`,
      wrap(
        `and not by ${facts.packageManager} run, which passes no SIGTERM on, so that nothing that runs could finish. A deployment first runs ${nearestCommand(facts.packageManager, 'roundsman migrate')}.${describeBundler(facts, plan)}`,
        width,
      ),
    ].join('\n'),
    wrap(
      'A handler that catches its errors and keeps them to itself ends as success: throw them on.',
      width,
    ),
    ...describePlugin(facts, plan, width),
  ]
  return `\n${parts.join('\n\n')}\n`
}

function workerOf({ manifest, scripts }: InitPlan): string {
  const name = scripts.worker.split(' ').at(-1) ?? ''
  const parsed = JSON.parse(manifest ?? '{}') as { scripts?: Record<string, string> }
  return parsed.scripts?.[name] ?? ''
}

function describeBundler({ build }: ProductFacts, { places }: InitPlan): string {
  return build?.by === 'bundler'
    ? ` Give your bundler ${places.worker} as an entry of its own, and start what it makes of that by node.`
    : ''
}

/** The console and its API in the product's own server. */
function describePlugin(facts: ProductFacts, plan: InitPlan, width: number): string[] {
  const jobs = relativeImport(
    `${facts.sourceFolder || '.'}/server.ts`,
    `${plan.places.jobs}/index`,
    facts.importExtension,
  )
  if (facts.framework === null) return []
  const lead = 'For the console in your own server, behind your own log-in, add to it:'
  return [[wrap(lead, width), pluginLines(facts, jobs)].join('\n')]
}

function pluginLines({ framework, databaseVariable }: ProductFacts, jobs: string): string {
  const authorize =
    'authorize: (request) => (isAdmin(request) ? { actor: nameOf(request), view: true, act: true } : null),'
  if (framework === 'fastify') {
    return `
  import { withEngineJobs } from '@roundsman/engine'
  import { createJobsClient } from '@roundsman/engine/client'
  import { roundsman } from '@roundsman/fastify'
  import { jobs } from '${jobs}'

  const jobsClient = createJobsClient({ databaseUrl: process.env.${databaseVariable} ?? '' })
  app.addHook('onReady', () => jobsClient.start())
  app.addHook('onClose', () => jobsClient.stop())
  app.register(roundsman, {
    prefix: '/jobs',
    client: jobsClient,
    jobs: withEngineJobs(jobs),
    ${authorize}
  })

  It is then at /jobs/console.`
  }
  return `
  import { withEngineJobs } from '@roundsman/engine'
  import { createJobsClient } from '@roundsman/engine/client'
  import { createNodeHandler } from '@roundsman/fastify'
  import { jobs } from '${jobs}'

  const jobsClient = createJobsClient({ databaseUrl: process.env.${databaseVariable} ?? '' })
  await jobsClient.start()
  const handle = await createNodeHandler({
    basePath: '/jobs',
    client: jobsClient,
    jobs: withEngineJobs(jobs),
    ${authorize}
  })
  app.use(handle)

  It is then at /jobs/console, for whatever takes a handler of node:http, as Express and Nest do.`
}

function runBuild(manager: PackageManager): string {
  return manager === 'npm' || manager === 'bun' ? `${manager} run build` : `${manager} build`
}

function nearestCommand(manager: PackageManager, command: string): string {
  const runners = { npm: 'npx', pnpm: 'pnpm', yarn: 'yarn', bun: 'bunx' }
  return `${runners[manager]} ${command}`
}

const MIN_TYPESCRIPT = 5.8

/** What is in the way, and what to do about it. */
export function findWarnings({ manifest, isModule, compilerOptions }: ProductFacts): string[] {
  const module = (compilerOptions.module ?? '').toLowerCase()
  const [, version] = /(\d+\.\d+)/.exec(dependenciesOf(manifest)['typescript'] ?? '') ?? []
  const isOld = version !== undefined && Number(version) < MIN_TYPESCRIPT && Number(version) >= 1
  const warnings: string[] = []
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
  return warnings
}
