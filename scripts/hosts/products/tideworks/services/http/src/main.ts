import { buildApp } from './app.js'

const app = await buildApp()
process.once('SIGTERM', () => void app.close())
await app.listen({ port: Number(process.env['PORT'] ?? 4000) })
