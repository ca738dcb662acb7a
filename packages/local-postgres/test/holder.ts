import { setTimeout as pause } from 'node:timers/promises'
import { acquireEmbeddedPostgres } from '../src/acquireEmbeddedPostgres.ts'

// Holds the server of the given folder until SIGTERM. With a number, takes and releases it that many times.
const [dataDir = '', rounds] = process.argv.slice(2)

if (rounds === undefined) {
  const postgres = await acquireEmbeddedPostgres({ dataDir, onProgress })
  console.log(`url ${postgres.url}`)
  console.log(`directory ${postgres.directory}`)
  process.once('SIGTERM', () => void postgres.release().then(() => console.log('released')))
} else {
  const { default: pg } = await import('pg')
  for (let round = 0; round < Number(rounds); round += 1) {
    const postgres = await acquireEmbeddedPostgres({ dataDir, onProgress })
    const client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    // Long enough for others to come and go; the server must stay.
    await client.query('select pg_sleep(0.03)')
    await client.end()
    await postgres.release()
    // At random intervals, so that one process comes while another is stopping the server.
    await pause(Math.random() * 150)
  }
  console.log('done')
}

function onProgress(message: string): void {
  console.log(`progress ${message}`)
}
