import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./prisma-client/client";

export * from "./prisma-client/client";

export function openStorage(connectionString: string): PrismaClient {
  const adapter = new PrismaPg({ connectionString });
  return new PrismaClient({ adapter });
}
