import { EnvironmentError, readEnvironment } from '@roundsman/node-app'
import { describe, expect, it } from 'vitest'
import { alertVariables } from '../src/alertVariables.ts'

const read = (source: NodeJS.ProcessEnv) => readEnvironment(alertVariables, source)

describe('alertVariables', () => {
  it('names nobody where nothing is set', () => {
    expect(read({})).toEqual({
      ALERT_WEBHOOK_FORMAT: 'json',
      ALERT_EMAIL_TO: [],
      ALERT_FAILURE_PERCENT: 10,
      ALERT_QUEUE_WAITING: 1,
      ALERT_QUEUE_MINUTES: 10,
    })
  })

  it('takes several addresses, each once', () => {
    const to = 'oncall@example.com, admin@example.com,,oncall@example.com'
    expect(read({ ALERT_EMAIL_TO: to }).ALERT_EMAIL_TO).toEqual([
      'oncall@example.com',
      'admin@example.com',
    ])
  })

  it.each([
    ['ALERT_WEBHOOK_URL', 'alarms.example.org', 'is not an address to post alerts to'],
    ['ALERT_WEBHOOK_URL', 'https://me:password@example.com', 'without a user and a password'],
    ['ALERT_WEBHOOK_SECRET', 'short', 'has fewer than 16 characters'],
    ['ALERT_WEBHOOK_SECRET', 'x'.repeat(16), 'has fewer than 4 different characters'],
    ['ALERT_WEBHOOK_FORMAT', 'teams', 'expected one of "json"|"slack"'],
    ['ALERT_EMAIL_TO', 'oncall@example.com, nobody', '"nobody" is not an e-mail address'],
    [
      'ALERT_EMAIL_TO',
      Array.from({ length: 21 }, (_, nth) => `a${nth}@example.com`).join(','),
      'more than 20 addresses',
    ],
    ['ALERT_CONSOLE_URL', '/console', 'is not the address of the console'],
    ['ALERT_FAILURE_PERCENT', '0', 'set a whole number from 1 to 100'],
  ])('explains what is wrong with %s=%s', (name, value, explanation) => {
    const attempt = () => read({ [name]: value })
    expect(attempt).toThrow(EnvironmentError)
    expect(attempt).toThrow(`${name}: `)
    expect(attempt).toThrow(explanation)
  })

  it('does not repeat the address of the webhook: whoever knows it can send alarms', () => {
    const attempt = () => read({ ALERT_WEBHOOK_URL: 'alarms.example.org' })
    expect(attempt).toThrow('ALERT_WEBHOOK_URL: ')
    expect(attempt).not.toThrow('alarms.example.org')
  })
})
