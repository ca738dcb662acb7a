import { run } from '@roundsman/engine/worker'
import { Pool } from 'pg'
import { createHandlers } from './jobs/handlers.js'
import { jobs } from './jobs/index.js'

const databaseUrl = process.env['DATABASE_URL'] ?? ''
const pool = new Pool({ connectionString: databaseUrl })
const handlers = createHandlers(async () => ({ text: 'Bring an umbrella.', calls: [] }), {})

await run({ databaseUrl, client: pool, jobs, handlers, migrate: true })
await pool.end()
