import { Problem, problemResponses } from '@roundsman/admin/http'
import type { PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { findTranslation } from './findTranslation.ts'

/** Looks translations up and keeps them in the database; a clean-up removes old ones. */
export const translationRoutes: FastifyPluginAsyncZod<{
  prisma: PrismaClient
  now: () => Date
}> = async (app, { prisma, now }) => {
  app.get(
    '/api/i18n/:locale/:key',
    {
      schema: {
        tags: ['i18n'],
        summary: 'Look up a translation',
        description: 'The header x-cache says hit or miss.',
        params: z.strictObject({
          locale: z
            .string()
            .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/)
            .max(35),
          key: z
            .string()
            .regex(/^[A-Za-z0-9._-]+$/)
            .max(200),
        }),
        response: { 200: z.object({ value: z.string() }), ...problemResponses(400, 404) },
      },
    },
    async ({ params: { locale, key } }, reply) => {
      const entry = await prisma.i18nCacheEntry.findUnique({
        where: { locale_key: { locale, key } },
      })
      if (entry) return reply.header('x-cache', 'hit').send({ value: entry.value })
      const value = findTranslation(locale, key)
      if (value === undefined)
        throw new Problem(404, { detail: 'There is no translation for this locale and key' })
      // Another request may have inserted it at the same moment, which is no error.
      await prisma.i18nCacheEntry.createMany({
        data: [{ locale, key, value, createdAt: now() }],
        skipDuplicates: true,
      })
      return reply.header('x-cache', 'miss').send({ value })
    },
  )
}
