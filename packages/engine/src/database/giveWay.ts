/**
 * Maximum wait of a worker's statement for the lock of another session, in milliseconds. PostgreSQL looks for a deadlock after
 * a second, and ends the transaction that looks. By then ours have given way, and the host's transaction continues.
 */
export const GIVE_WAY_AFTER_MS = 500

/** For transactions that give way on any pool. */
export const GIVING_WAY = { lockTimeoutMs: GIVE_WAY_AFTER_MS }

/**
 * A condition that is always true and makes its transaction give way. PostgreSQL evaluates it before it reads rows. For single
 * statements behind a pooler, which ignores the settings at a connection's start.
 */
export const GIVES_WAY = `(select set_config('lock_timeout', '${GIVE_WAY_AFTER_MS}', true)) is not null`
