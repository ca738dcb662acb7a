import pg from 'pg'
import { expect, it } from 'vitest'
import { isConnectionLoss } from '../../src/database/isConnectionLoss.ts'

const ofPostgres = (code: string) =>
  Object.assign(new pg.DatabaseError('of PostgreSQL', 0, 'error'), { code })

it.each<[error: unknown, isLoss: boolean]>([
  [ofPostgres('08006'), true],
  [ofPostgres('57P01'), true],
  [ofPostgres('57P03'), true],
  [ofPostgres('53300'), true],
  [ofPostgres('57014'), false],
  [ofPostgres('42P01'), false],
  [Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), true],
  [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), true],
  [Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), true],
  [Object.assign(new Error('no such file'), { code: 'ENOENT' }), false],
  [new Error('Connection terminated unexpectedly'), true],
  [new Error('Connection terminated due to connection timeout'), true],
  [new Error('timeout exceeded when trying to connect'), true],
  [new Error('Client has encountered a connection error and is not queryable'), true],
  [new Error('The Connection terminated'), false],
  [new TypeError('of ours'), false],
  [null, false],
])('%s: %s', (error, isLoss) => {
  expect(isConnectionLoss(error)).toBe(isLoss)
})
