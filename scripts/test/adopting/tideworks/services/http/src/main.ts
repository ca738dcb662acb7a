import { buildApp } from "./app";

async function main() {
  const app = buildApp({ databaseUrl: process.env.DATABASE_URL ?? "" });
  process.once("SIGTERM", () => void app.close());
  await app.listen({ port: Number(process.env.PORT ?? 4000) });
}

void main();
