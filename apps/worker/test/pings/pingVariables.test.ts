import type { EnvironmentError } from '@roundsman/node-app'
import { expect, it } from 'vitest'
import { readWorkerEnvironment } from '../../src/env.ts'

it('each job may have an address for its pings', () => {
  const { pingUrls } = readWorkerEnvironment({
    CLEANUP_I18N_CACHE_PING_URL: 'https://hc.example.com/ping/key/slug?create=1',
    DISPATCH_EMAIL_PING_URL: '',
  })
  expect([...pingUrls].map(([name, url]) => [name, url.href])).toEqual([
    ['cleanupI18nCache', 'https://hc.example.com/ping/key/slug?create=1'],
  ])
})

it.each(['hc.example.com/1', 'ftp://hc.example.com/1', 'https://me:hunter2@hc.example.com/1'])(
  'refuses %s, together with all else that is wrong, and without repeating it',
  (text) => {
    let problems: readonly string[] = []
    try {
      readWorkerEnvironment({ CLEANUP_I18N_CACHE_PING_URL: text, WORKER_PORT: 'x' })
    } catch (error) {
      problems = (error as EnvironmentError).problems
    }
    expect(problems.toSorted()).toEqual([
      expect.stringMatching(/^CLEANUP_I18N_CACHE_PING_URL: is not an address for pings; set one/),
      expect.stringMatching(/^WORKER_PORT: /),
    ])
    expect(problems.join('')).not.toContain(text)
  },
)
