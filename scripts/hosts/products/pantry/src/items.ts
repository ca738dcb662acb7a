import { asc } from 'drizzle-orm'
import { Router } from 'express'
import { db } from './db'
import { items } from './schema'

export async function addItem(item: typeof items.$inferInsert) {
  return await db.transaction(async (tx) => {
    const [added] = await tx.insert(items).values(item).returning()
    if (added === undefined) throw new Error('Nothing was added')
    return added
  })
}

export const itemRoutes = Router()

itemRoutes.post('/items', async (request, response) => {
  const { cook } = request.session
  if (cook === undefined) {
    response.status(401).json({ message: 'Log in first' })
    return
  }
  response.status(201).json(await addItem({ ...request.body, cookId: cook.id }))
})

itemRoutes.get('/items', async (_request, response) => {
  response.json(await db.select().from(items).orderBy(asc(items.id)).limit(100))
})
