import { buildApp } from './app'

const app = buildApp()
process.once('SIGTERM', () => void app.close())
void app.listen({ port: Number(process.env.PORT ?? 4000) })
