// Not quick: starts processes.
import { spawnProcess } from '@roundsman/testing'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { obtainJwtSecret } from '../../src/auth/obtainJwtSecret.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'roundsman-secret-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true }))
})

it('makes a long secret that only its owner can read, and keeps it', () => {
  const folder = join(dataDir, 'not', 'there yet')
  const secret = obtainJwtSecret(folder)
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
  expect(statSync(join(folder, 'jwt-secret')).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(folder, 'jwt-secret'), 'utf8').trim()).toBe(secret)
  expect(obtainJwtSecret(folder)).toBe(secret)
  expect(readdirSync(folder)).toEqual(['jwt-secret'])
})

it('makes another one for another folder', () => {
  expect(obtainJwtSecret(join(dataDir, 'a'))).not.toBe(obtainJwtSecret(join(dataDir, 'b')))
})

it('gives the same one to processes that start at once', async () => {
  const script = join(dataDir, 'script.ts')
  const signal = join(dataDir, 'go')
  const folder = join(dataDir, 'shared')
  const source = join(import.meta.dirname, '../../src/auth/obtainJwtSecret.ts')
  // Many folders, because a race in a single one may be missed.
  writeFileSync(
    script,
    `import { existsSync } from 'node:fs'
     import { obtainJwtSecret } from ${JSON.stringify(source)}
     console.log('ready')
     while (!existsSync(${JSON.stringify(signal)})) {}
     const secrets = []
     for (let i = 0; i < 300; i += 1) secrets.push(obtainJwtSecret(${JSON.stringify(folder)} + i))
     console.log('secrets ' + secrets.join())`,
  )
  const starters = Array.from({ length: 4 }, () => spawnProcess(script))
  await Promise.all(starters.map((starter) => starter.waitForLine('ready')))
  writeFileSync(signal, '')
  const lines = await Promise.all(starters.map((starter) => starter.waitForLine(/^secrets /)))
  expect(new Set(lines).size).toBe(1)
  expect(readdirSync(`${folder}0`)).toEqual(['jwt-secret'])
})

it('names the remedy when the file is damaged or the folder cannot be used', () => {
  writeFileSync(join(dataDir, 'jwt-secret'), 'short')
  expect(() => obtainJwtSecret(dataDir)).toThrow(/JWT_SECRET: .*delete that file/)
  writeFileSync(join(dataDir, 'a file'), '')
  expect(() => obtainJwtSecret(join(dataDir, 'a file'))).toThrow(/DATA_DIR: .*\(ENOTDIR\)/)
})
