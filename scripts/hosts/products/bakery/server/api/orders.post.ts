export default defineEventHandler(async (event) => {
  const { item } = await readBody(event)
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query('insert into orders (item) values ($1)', [tidyItem(item)])
    await client.query('commit')
    return { item }
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
})
