/** This product keeps the engine's tables among its own. */
export const ENGINE_SCHEMA = 'public'
