import { LogController, type FastifyReply, type FastifyRequest } from 'fastify'

/**
 * One line for each request, once it is answered: two, both written at once, are a tenth of what a request costs.
 * What has begun and not ended shows with LOG_LEVEL=debug.
 */
class RequestLog extends LogController {
  override incomingRequest(request: FastifyRequest): void {
    request.log.debug({ req: request }, 'incoming request')
  }

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const line = { req: request, res: reply, responseTime: reply.elapsedTime }
    if (error) reply.log.error({ ...line, err: error }, 'request errored')
    else reply.log.info(line, 'request completed')
  }
}

export const requestLog = new RequestLog()
