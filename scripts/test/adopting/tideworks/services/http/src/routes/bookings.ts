import type { FastifyInstance } from "fastify";
import type { Services } from "../services";

interface Body {
  berth: string;
  boat: string;
  night: string;
}

export async function bookingRoutes(app: FastifyInstance, { services }: { services: Services }) {
  app.post<{ Body: Body }>("/bookings", async (request, reply) => {
    const booking = await services.bookBerth(request.body);
    return reply.code(201).send(booking);
  });
}
