/**
 * How long a statement of a worker's waits for the lock of another session, in milliseconds. PostgreSQL looks for a deadlock
 * after a second, and ends whoever looks: by then ours have given way, and the host's transaction goes on.
 */
export const GIVE_WAY_AFTER_MS = 500

/** For transactions that give way on whatever pool they are. */
export const GIVING_WAY = { lockTimeoutMs: GIVE_WAY_AFTER_MS }

/**
 * A condition that is always true: from then on, its transaction gives way. PostgreSQL evaluates it before it reads rows. For
 * single statements behind a pooler, which ignores how a connection of ours starts.
 */
export const GIVES_WAY = `(select set_config('lock_timeout', '${GIVE_WAY_AFTER_MS}', true)) is not null`
