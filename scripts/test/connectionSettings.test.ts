import { expect, it } from 'vitest'
import { connectionSettings as ofDatabase } from '../../packages/db/src/connectionSettings.ts'
import { connectionSettings as ofEngine } from '../../packages/engine/src/store/connectionSettings.ts'

// Neither package may import the other, and what one reads the other has written.
it('the engine opens its connections as the Prisma client does', () => {
  for (const url of [
    'postgres://u:p%40ss@h:5432/d',
    'postgres://u:p@h/d?application_name=x&options=-c%20jit%3Don',
    'postgres://u:p w@h/d?options=-c jit=on#part',
    'postgres://u@h/d?host=/var/run/postgresql',
    '/var/run/postgresql d',
  ]) {
    expect(ofDatabase(url)).toEqual(ofEngine(url))
  }
})
