// Not quick: starts processes.
import { expect, test } from 'vitest'
import { checkReferences } from '../check/checkTypes.ts'
import { writeTree } from './writeTree.ts'

const manifestOf = (name: string, fields: object = {}) => JSON.stringify({ name, ...fields })
const referring = (...paths: string[]) =>
  JSON.stringify({ references: paths.map((path) => ({ path })) })

const complete = {
  'packages/db/package.json': manifestOf('@roundsman/db'),
  'packages/db/tsconfig.json': referring(),
  'packages/testing/package.json': manifestOf('@roundsman/testing'),
  'packages/testing/tsconfig.json': referring(),
  'apps/api/package.json': manifestOf('@roundsman/api', {
    dependencies: { '@roundsman/db': 'workspace:*', fastify: '5.12.8' },
    devDependencies: { '@roundsman/testing': 'workspace:*' },
  }),
  'apps/api/tsconfig.json': referring('../../packages/db'),
  'tsconfig.json': referring(
    './packages/db',
    'packages/testing',
    'apps/api',
    'scripts',
    './tsconfig.tests.json',
  ),
}

const problemsOf = async (changes: Record<string, string>) =>
  checkReferences(await writeTree({ ...complete, ...changes }))

test('a reference for each dependency that is not for tests, and one for each project', async () => {
  expect(await problemsOf({})).toEqual([])
})

test('a dependency without its reference', async () => {
  expect(await problemsOf({ 'apps/api/tsconfig.json': referring() })).toEqual([
    'apps/api/tsconfig.json: does not refer to packages/db, which package.json depends on',
  ])
})

test('a reference without its dependency', async () => {
  const changes = { 'packages/db/tsconfig.json': referring('../testing') }
  expect(await problemsOf(changes)).toEqual([
    'packages/db/tsconfig.json: refers to packages/testing without need',
  ])
})

test('a project that the root leaves out', async () => {
  const changes = { 'tsconfig.json': referring('packages/db', 'packages/testing', 'scripts') }
  expect(await problemsOf(changes)).toEqual([
    'tsconfig.json: does not refer to apps/api, so that nothing in it is checked',
    'tsconfig.json: does not refer to tsconfig.tests.json, so that nothing in it is checked',
  ])
})

test('a package without a project', async () => {
  const changes = { 'packages/db/tsconfig.json': 'not JSON' }
  expect(await problemsOf(changes)).toEqual([
    'packages/db/tsconfig.json: is missing or is not valid JSON',
  ])
})
