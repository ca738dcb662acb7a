import type { FastifyReply, FastifyRequest } from "fastify";

/** Only the harbour master has the key. */
export async function requireHarbourMaster(request: FastifyRequest, reply: FastifyReply) {
  if (request.headers["x-harbour-key"] !== process.env.HARBOUR_KEY) {
    await reply.code(401).send({ message: "The harbour master's key is needed" });
  }
}
