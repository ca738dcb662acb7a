import {
  aliasedImport,
  createClientCode,
  environmentVariable,
  readEnvFile,
  relativeImport,
  type ClientCode,
  type Places,
} from './clientCode.ts'
import { nearestCommand } from './findTooling.ts'
import type { ProductFacts } from './inspectProduct.ts'
import { dependenciesOf } from './manifest.ts'
import { inStyle } from './style.ts'

export interface WrittenFile {
  /** Relative to the root. */
  path: string
  /** A description for people. */
  what: string
  text: string
}

/** The first job: it changes nothing, and shows the transaction that handlers get. */
export const FIRST_JOB = 'measureDatabase'

/** All files that a product needs to run a worker with a first job. */
export function writeFiles(facts: ProductFacts, places: Places): WrittenFile[] {
  const code = createClientCode(facts, places)
  const files = [
    { path: `${places.jobs}/index.ts`, what: 'what jobs there are', text: definitions(facts) },
    {
      path: `${places.jobs}/handlers.ts`,
      what: 'what they do',
      text: handlers(facts, code),
    },
    ...(code.file === null
      ? []
      : [{ path: code.path, what: 'the database client that handlers get', text: code.file }]),
    { path: places.jobsClient, what: 'what puts work into the queue', text: jobsClient(facts) },
    ...(places.worker === null
      ? []
      : [
          {
            path: places.worker,
            what: 'the process that runs them',
            text: worker(facts, places, places.worker, code),
          },
        ]),
    ...writeRoute(facts, places),
    ...writeTest(facts, places, code),
    {
      path: places.config,
      what: `what ${nearestCommand(facts.packageManager, 'roundsman')} reads`,
      text: config(facts, places, code),
    },
  ]
  return files.map((file) => ({ ...file, text: inStyle(file.text, facts.style) }))
}

const PAYLOADS = {
  zod: {
    imported: `import { z } from 'zod';\n`,
    text: `z.object({ note: z.string().default('on schedule') })`,
  },
  valibot: {
    imported: `import * as v from 'valibot';\n`,
    text: `v.object({ note: v.optional(v.string(), 'on schedule') })`,
  },
  arktype: {
    imported: `import { type } from 'arktype';\n`,
    text: `type({ note: type.string.default('on schedule') })`,
  },
}

function definitions({ schemaLibrary }: ProductFacts): string {
  const payload = schemaLibrary === null ? null : PAYLOADS[schemaLibrary]
  return `import { defineJob } from '@roundsman/engine';
${payload?.imported ?? ''}
export const ${FIRST_JOB} = defineJob({
  name: '${FIRST_JOB}',
  description: 'Records how large the database is.',
  schedule: { cron: '* * * * *' },
  timeoutMs: 30_000,
${payload ? `  payload: ${payload.text},\n` : ''}});

/** All code that enqueues or reads jobs may import this file: it loads no handler. */
export const jobs = [${FIRST_JOB}] as const;
`
}

function handlers({ schemaLibrary }: ProductFacts, code: ClientCode): string {
  const context = schemaLibrary === null ? '{ batch, log }' : '{ payload, batch, log }'
  const result = schemaLibrary === null ? '' : `\n    return { note: payload.note };`
  return `${sorted([
    `import type { HandlersFor, TransactionOf } from '@roundsman/engine';`,
    ...code.handlerImports,
    `import type { jobs } from './index${code.extension}';`,
  ])}

/**
 * Work is delivered at least once, so each effect has to be one that may happen again. An error that a handler catches
 * and keeps to itself makes its run a success: throw it on.
 */
export const handlers: HandlersFor<typeof jobs, TransactionOf<${code.type}>> = {
  async ${FIRST_JOB}(${context}) {
    // Changes in batch commit together with the counts that it returns, or not at all.
    const { megabytes } = await batch(async (tx) => {
${indented(code.query, 6)}
    });
    log.info({ megabytes }, 'database measured');${result}
  },
};
`
}

function jobsClient(facts: ProductFacts): string {
  if (facts.framework === 'next' || facts.framework === 'nuxt') return keptJobsClient(facts)
  const { first, imported, reading } = readEnvFile(facts)
  return `${first}${imported}import { createJobsClient } from '@roundsman/engine/client';
${reading}
/** Enqueues in any transaction of yours. It loads no handler, and connects when it is first used. */
export const jobsClient = createJobsClient({ databaseUrl: ${environmentVariable(facts)} ?? '' });
`
}

/** Each reload in development loads this file again, and would leave the connections of the one before open. */
function keptJobsClient(facts: ProductFacts): string {
  return `import { createJobsClient, type JobsClient } from '@roundsman/engine/client';

// A reload in development takes over the client from before, with its connections.
const kept = globalThis as { jobsClient?: JobsClient };

/** Enqueues in any transaction of yours. It loads no handler, and connects when it is first used. */
export const jobsClient = (kept.jobsClient ??= createJobsClient({
  databaseUrl: ${environmentVariable(facts)} ?? '',
}));
`
}

/** The console and its API in a product on Next.js or Nuxt: one file for all of their addresses. */
function writeRoute(facts: ProductFacts, places: Places): WrittenFile[] {
  if (places.console === null) return []
  const { route, basePath } = places.console
  const what = 'the console, for your log-in to let people in'
  const from = (path: string) => aliasedImport(facts, route, path)
  if (facts.framework === 'nuxt') {
    const text = `${sorted([
      `import { createNodeHandler } from '@roundsman/admin';`,
      `import { withEngineJobs } from '@roundsman/engine';`,
      `import { jobs } from '${from(`${places.jobs}/index`)}';`,
      `import { jobsClient } from '${from(places.jobsClient.replace(/\.ts$/, ''))}';`,
    ])}

export default fromNodeMiddleware(
  createNodeHandler({
    client: jobsClient,
    jobs: withEngineJobs(jobs),
    basePath: '${basePath}',
    consolePath: '/',
    log: console,
    // In production every request is refused. Read your session here and return the user and their rights, or null.
    authorize: () =>
      import.meta.dev ? { actor: 'developer', view: true, act: true } : null,
  }),
);
`
    return [{ path: route, what, text }]
  }
  const text = `${sorted([
    `import { createFetchHandler } from '@roundsman/admin';`,
    `import { withEngineJobs } from '@roundsman/engine';`,
    `import { jobs } from '${from(`${places.jobs}/index`)}';`,
    `import { jobsClient } from '${from(places.jobsClient.replace(/\.ts$/, ''))}';`,
  ])}

const handle = createFetchHandler({
  client: jobsClient,
  jobs: withEngineJobs(jobs),
  basePath: '${basePath}',
  log: console,
  // In production every request is refused. Read your session here and return the user and their rights, or null.
  authorize: async () =>
    process.env.NODE_ENV === 'development' ? { actor: 'developer', view: true, act: true } : null,
});

export {
  handle as DELETE,
  handle as GET,
  handle as HEAD,
  handle as PATCH,
  handle as POST,
  handle as PUT,
};
`
  return [{ path: route, what, text }]
}

function worker(facts: ProductFacts, places: Places, path: string, code: ClientCode): string {
  const from = (to: string) => relativeImport(path, to, code.extension)
  const variable = environmentVariable(facts)
  const log = facts.hasPino ? 'pino()' : 'console'
  return `${readEnvFile(facts).first}${sorted([
    `import { createWorker } from '@roundsman/engine/worker';`,
    ...(facts.hasPino ? [`import { pino } from 'pino';`] : []),
  ])}
${sorted([
  code.clientImport(path),
  `import { handlers } from '${from(`${places.jobs}/handlers`)}';`,
  `import { jobs } from '${from(`${places.jobs}/index`)}';`,
])}

const databaseUrl = ${variable};
if (!databaseUrl) throw new Error('${facts.databaseVariable} is not set');

const worker = createWorker({ databaseUrl, client: ${code.name}, jobs, handlers, log: ${log} });

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

// Running work finishes, for up to 25 s. A second signal aborts it, and it is given back.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    worker.stop().then(() => process.exit(0), fail);
  });
}

worker.start().catch(fail);
`
}

function config(facts: ProductFacts, places: Places, code: ClientCode): string {
  // The configuration's loader resolves every kind of import, unlike the compiler.
  const from = (path: string) => relativeImport(places.config, path, configExtension(facts, places))
  const url =
    facts.databaseVariable === 'DATABASE_URL'
      ? ''
      : `  databaseUrl: process.env.${facts.databaseVariable},\n`
  const taken = code.exportedName === 'default' ? `default: ${code.name}` : code.name
  const { first, imported, reading } = readEnvFile(facts)
  return `${first}${imported}import { defineConfig } from 'roundsman';
import { jobs } from '${from(`${places.jobs}/index`)}';
${reading}
export default defineConfig({
${url}  jobs,
  /** For what runs jobs: what handlers need is loaded here, and by no command that only looks. */
  async open() {
    const { ${taken} } = await import('${code.sourceIn(places.config, configExtension(facts, places))}');
    const { handlers } = await import('${from(`${places.jobs}/handlers`)}');
    return { client: ${code.name}, handlers, close: () => ${code.close} };
  },
});
`
}

/** A test of the first job, for the product's own test runner. */
function writeTest(facts: ProductFacts, places: Places, code: ClientCode) {
  const { testRunner, isModule, compilerOptions } = facts
  if (testRunner === null) return []
  const path = testPath(facts, places)
  const resolution = compilerOptions.moduleResolution ?? compilerOptions.module ?? ''
  // With these settings the compiler demands endings in `import()` by which jest finds no file.
  if (testRunner === 'jest' && !isModule && /^node(16|18|20|next)$/i.test(resolution)) return []
  const text = testRunner === 'jest' ? jestTest : plainTest
  return [{ path, what: 'what holds for the first one', text: text(facts, places, code) }]
}

function plainTest(facts: ProductFacts, places: Places, code: ClientCode): string {
  const path = testPath(facts, places)
  const from = (to: string) => relativeImport(path, to, code.extension)
  const isVitest = facts.testRunner === 'vitest'
  const imports = [
    `import { openTestJobs } from '@roundsman/engine/testing';`,
    ...(isVitest
      ? [`import { afterAll, expect, it } from 'vitest';`]
      : [`import assert from 'node:assert/strict';`, `import { after, it } from 'node:test';`]),
    code.clientImport(path),
    `import { handlers } from '${from(`${places.jobs}/handlers`)}';`,
    `import { ${FIRST_JOB}, jobs } from '${from(`${places.jobs}/index`)}';`,
  ]
  return `${sorted(imports)}

${databaseOfTests(facts)}

${isVitest ? `afterAll(() => ${code.close});` : `after(() => ${code.close});`}

${isVitest ? `it.skipIf(databaseUrl === '')('measures the database', async () => {` : `it('measures the database', { skip: databaseUrl === '' }, async () => {`}
${measuring(facts, code, isVitest ? `expect(status).toBe('success');` : `assert.equal(status, 'success');`)}});
`
}

/** Imports ES modules inside the test: where jest cannot load them it skips this test, and the product's others pass. */
function jestTest(facts: ProductFacts, places: Places, code: ClientCode): string {
  const path = testPath(facts, places)
  const from = (to: string) => relativeImport(path, to, code.extension)
  const options = environmentVariable({ ...facts, databaseVariable: 'NODE_OPTIONS' })
  const imports = [
    ...(hasJestGlobals(facts) ? [] : [`import { afterAll, expect, it } from '@jest/globals';`]),
    code.clientImport(path),
  ]
  return `${sorted(imports)}

${databaseOfTests(facts)}
// jest loads ES modules, which the engine is made of, where Node is started with this.
const isTold = [${options}, ...process.execArgv].join(' ').includes('${VM_MODULES}');
const itWhereTold = databaseUrl !== '' && isTold ? it : it.skip;

afterAll(() => ${code.close});

itWhereTold('measures the database', async () => {
  const { openTestJobs } = await import('@roundsman/engine/testing');
  const { handlers } = await import('${from(`${places.jobs}/handlers`)}');
  const { ${FIRST_JOB}, jobs } = await import('${from(`${places.jobs}/index`)}');
${measuring(facts, code, `expect(status).toBe('success');`)}});
`
}

function databaseOfTests(facts: ProductFacts): string {
  return `// It makes a schema of its own there, and drops it again.
const databaseUrl = ${environmentVariable(facts)} ?? '';`
}

function measuring({ schemaLibrary }: ProductFacts, code: ClientCode, assertion: string): string {
  const payload = schemaLibrary === null ? '{}' : `{ note: 'by a test' }`
  return `  const testJobs = await openTestJobs({ databaseUrl, client: ${code.name}, jobs, handlers });
  try {
    const { status } = await testJobs.run(${FIRST_JOB}, ${payload});
    ${assertion}
  } finally {
    await testJobs.close();
  }
`
}

/** The flag that Node needs so that jest loads ES modules, in CommonJS too. */
export const VM_MODULES = '--experimental-vm-modules'

/** Whether jest's globals are typed without an import. */
export function hasJestGlobals({ manifest, compilerOptions: { types } }: ProductFacts): boolean {
  const isTyped = '@types/jest' in dependenciesOf(manifest)
  return isTyped && (types === undefined || types.includes('jest') || types.includes('*'))
}

/** Where the product keeps its tests, with a name like theirs. */
function testPath({ testFiles, sourceFolder }: ProductFacts, { jobs }: Places): string {
  const most = (of: RegExp) =>
    testFiles.filter((path) => of.test(path)).length * 2 > testFiles.length
  const name = `${FIRST_JOB}.${most(/\.spec\.[cm]?ts$/) ? 'spec' : 'test'}.ts`
  for (const folder of ['test', 'tests', '__tests__']) {
    if (!most(new RegExp(`^${folder}/`))) continue
    return `${folder}/${sourceFolder === '' ? jobs : jobs.slice(sourceFolder.length + 1)}/${name}`
  }
  return `${jobs}/${name}`
}

/** CommonJS finds the file without its extension; ES modules need it. The compiler wants it as everywhere in the product. */
function configExtension(facts: ProductFacts, places: Places): string {
  if (facts.includesRoot && places.config.endsWith('.ts')) return facts.importExtension
  return facts.isModule || places.config.endsWith('.mjs') ? '.ts' : ''
}

/** Packages first, then files of the product. */
function sorted(imports: readonly string[]): string {
  const key = (line: string) => {
    const source = /from '([^']+)'/.exec(line)?.[1] ?? ''
    return `${/^(\.|@\/|~)/.test(source) ? 1 : 0}${source}`
  }
  return imports.toSorted((a, b) => key(a).localeCompare(key(b))).join('\n')
}

function indented(text: string, spaces: number): string {
  return text
    .split('\n')
    .map((line) => `${' '.repeat(spaces)}${line}`)
    .join('\n')
}
