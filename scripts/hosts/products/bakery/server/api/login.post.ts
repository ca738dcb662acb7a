export default defineEventHandler(async (event) => {
  const { name, password } = await readBody(event)
  const session = await logIn(name, password)
  if (session === null) throw createError({ statusCode: 401 })
  setCookie(event, 'baker', session, { httpOnly: true })
  return { name }
})
