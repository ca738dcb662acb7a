import { ArgumentError } from '@roundsman/engine'
import { ADMIN, ADMIN_HINTS, checkAuthorize } from '@roundsman/admin/internal'
import { asItIs, checkOptions, listOf, oneOf, optional } from '@roundsman/engine/internal'
import type { FastifyPluginOptions } from 'fastify'
import type { RoundsmanOptions } from './roundsman.ts'

/** The options of Fastify itself at the registration of a plugin. */
const OF_FASTIFY = { prefix: asItIs, logLevel: asItIs, logSerializers: asItIs }

const PLUGIN = {
  ...ADMIN,
  authorize: checkAuthorize,
  security: optional(listOf(asItIs)),
  describedAs: optional(oneOf(['json', 'zod'])),
} satisfies Record<keyof RoundsmanOptions, unknown>

export function checkPluginOptions(options: FastifyPluginOptions) {
  return checkOptions('options', options, { ...PLUGIN, ...OF_FASTIFY }, { hints: HINTS })
}

const { prefix: _prefix, ...HINTS } = ADMIN_HINTS

/**
 * The start of the page's links. Fastify keeps the slash at the end of a prefix, and a link with two slashes at its start would
 * lead to another host.
 */
export function linkedPrefix(prefix: string): string {
  if (!/^\/\/|[:*]/.test(prefix)) return prefix.replace(/\/$/, '')
  throw new ArgumentError(
    'prefix',
    `has to be a path such as /admin, without parameters, for a console below it, not ${prefix}; or set consolePath to null`,
  )
}
