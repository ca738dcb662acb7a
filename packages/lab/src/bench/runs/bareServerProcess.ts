// What somebody would write without a framework: the query of the runs' list through node-postgres, sent as JSON.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'

const SQL = `
  select "id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt", "details", "dryRun",
         "actor", "reason", "queueJobId", "workerId", "progress", "cancelRequestedAt", "cancelRequestedBy",
         "approvedAt", "approvedBy", "createdAt"
  from "JobRun" order by "startedAt" desc, "id" desc limit 51`

const pool = new pg.Pool({ connectionString: process.argv[2], max: 10 })
// The process that started this one is gone.
process.stdin.on('end', () => process.exit(1)).resume()

const server = createServer((_request, response) => {
  pool.query(SQL).then(
    ({ rows }) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ runs: rows.slice(0, 50) }))
    },
    (error: unknown) => {
      response.statusCode = 500
      response.end(String(error))
    },
  )
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
