import { scryptSync } from 'node:crypto'
import { eq } from 'drizzle-orm'
import express from 'express'
import session from 'express-session'
import { db } from './db'
import { itemRoutes } from './items'
import { cooks } from './schema'

declare module 'express-session' {
  interface SessionData {
    cook: { id: number; name: string; isChef: boolean }
  }
}

const secret = process.env.SESSION_SECRET ?? ''

export function hashPassword(password: string): string {
  return scryptSync(password, secret, 32).toString('hex')
}

export const app = express()
app.use(session({ secret, resave: false, saveUninitialized: false }))
app.use(express.json())

app.post('/login', async (request, response) => {
  const { name, password } = request.body as { name: string; password: string }
  const [cook] = await db.select().from(cooks).where(eq(cooks.name, name))
  if (cook?.password !== hashPassword(password)) {
    response.status(401).json({ message: 'Wrong name or password' })
    return
  }
  request.session.cook = { id: cook.id, name: cook.name, isChef: cook.isChef }
  response.json({ name: cook.name })
})

app.use(itemRoutes)
