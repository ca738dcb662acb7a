import fastifyPlugin from 'fastify-plugin'

/** One line for each request, once it is answered. What has begun and not ended shows with LOG_LEVEL=debug. */
export const requestLog = fastifyPlugin(async (app) => {
  app.addHook('onRequest', (request, _reply, done) => {
    request.log.debug({ req: request }, 'incoming request')
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      { req: request, res: reply, responseTime: reply.elapsedTime },
      'request completed',
    )
    done()
  })
})
