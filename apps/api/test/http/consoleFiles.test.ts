import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '../createTestApi.ts'

let folder: string
let api: TestApi

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roundsman-files-'))
  await writeFile(join(folder, 'secret.txt'), 'not for the public')
  const consoleDir = join(folder, 'dist')
  await mkdir(join(consoleDir, 'assets'), { recursive: true })
  await writeFile(join(consoleDir, 'index.html'), '<title>console</title>')
  await writeFile(join(consoleDir, 'assets/main.js'), '1')
  // A folder beside it whose name begins alike.
  await mkdir(join(folder, 'dist2'))
  await writeFile(join(folder, 'dist2/main.js'), '2')
  api = await createTestApi({ consoleDir })
})

afterAll(async () => {
  await api?.close()
  await rm(folder, { recursive: true })
})

const get = (path: string) => api.app.inject({ method: 'GET', url: `/console/${path}` })

it('serves what is built, and its page for the page’s own paths', async () => {
  expect((await get('assets/main.js')).body).toBe('1')
  for (const path of ['', 'jobs', 'runs/1']) expect((await get(path)).body).toContain('console')
  expect((await get('assets/gone.js')).statusCode).toBe(404)
})

it.each([
  ['assets/..%2f..%2f', 'secret.txt'],
  ['assets/..%2f..%2fdist2%2f', 'main.js'],
  ['assets%2f..%2f..%2f', 'secret.txt'],
])('does not tell whether there is a file outside: %s%s', async (way, file) => {
  for (const url of [`${way}${file}`, `${way}none.txt`]) {
    const response = await get(url)
    expect(response.statusCode).toBe(404)
    expect(response.json().detail).toBe('The console has no file at this address')
  }
})
