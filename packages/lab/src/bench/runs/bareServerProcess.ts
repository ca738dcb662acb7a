// What somebody would write without a framework: what the runs' list answers, by one query through node-postgres, as JSON.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import { followDriver } from '../../followDriver.ts'

const SQL = `
  select "id", "name", "label", "status", "errorCode", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt",
         "details", "dryRun", "actor", "reason", "workId", "workerId", "progress", "cancelRequestedAt",
         "cancelRequestedBy", "approvedAt", "approvedBy", "createdAt"
  from "JobRunAll" order by "startedAt" desc, "id" desc limit 51`

const OUTCOMES: Record<string, string> = {
  cancelled: 'cancelled',
  guard_blocked: 'blocked',
  expired: 'expired',
  worker_lost: 'lost',
  drained: 'givenBack',
}

interface Row {
  id: string
  status: string
  errorCode: string | null
  startedAt: Date
  endedAt: Date | null
}

const { settings, tell } = followDriver<{ databaseUrl: string }>()
const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: 10 })

const server = createServer((_request, response) => {
  pool.query<Row>({ name: 'runs', text: SQL }).then(
    ({ rows }) => {
      const runs = rows.slice(0, 50).map((run) => ({
        ...run,
        outcome: run.status === 'failed' ? (OUTCOMES[run.errorCode ?? ''] ?? 'failed') : run.status,
        durationMs: run.endedAt && run.endedAt.getTime() - run.startedAt.getTime(),
      }))
      const last = rows.length > 50 ? runs.at(-1) : undefined
      const nextCursor =
        last && Buffer.from(`${last.startedAt.toISOString()}/${last.id}`).toString('base64url')
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ runs, nextCursor: nextCursor ?? null }))
    },
    (error: unknown) => {
      response.statusCode = 500
      response.end(String(error))
    },
  )
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  tell({ url: `http://127.0.0.1:${port}` })
})
