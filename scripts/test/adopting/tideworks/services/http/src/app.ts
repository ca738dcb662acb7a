import { openStorage } from "@tideworks/storage";
import Fastify, { type FastifyInstance } from "fastify";
import { berthRoutes } from "./routes/berths";
import { bookingRoutes } from "./routes/bookings";
import { createServices } from "./services";

export function buildApp({ databaseUrl }: { databaseUrl: string }): FastifyInstance {
  const app = Fastify({ logger: true });
  const storage = openStorage(databaseUrl);
  app.addHook("onClose", () => storage.$disconnect());

  const services = createServices({ storage });
  app.register(berthRoutes, { services });
  app.register(bookingRoutes, { services });
  return app;
}
