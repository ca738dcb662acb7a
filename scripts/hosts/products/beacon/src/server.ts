import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { pool } from './database.ts'
import { listSubscribers, subscribe } from './subscribers.ts'

const server = createServer(async (request, response) => {
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  try {
    if (request.method === 'POST' && request.url === '/subscribers') {
      const { email } = (await json(request)) as { email: string }
      const id = await subscribe(email)
      answer(id === null ? 409 : 201, { id })
    } else if (request.method === 'GET' && request.url === '/subscribers') {
      if (request.headers.authorization !== `Bearer ${process.env.BEACON_KEY}`) answer(401, {})
      else answer(200, await listSubscribers())
    } else answer(404, {})
  } catch (error) {
    console.error(error)
    answer(500, {})
  }
})

server.listen(Number(process.env.PORT ?? 4000), '127.0.0.1', () => console.log('Beacon is listening'))
process.once('SIGTERM', () => server.close(() => void pool.end()))
