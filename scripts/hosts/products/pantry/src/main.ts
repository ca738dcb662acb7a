import { app } from './app'
import { db } from './db'

const server = app.listen(Number(process.env.PORT ?? 4000), '127.0.0.1', () => {
  console.log('Pantry is listening')
})
process.once('SIGTERM', () => server.close(() => void db.$client.end()))
