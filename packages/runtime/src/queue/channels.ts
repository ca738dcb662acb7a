/** NOTIFY channels of our own, beside pg-boss's. */

/** Payload: the id of a run that somebody wants to stop. */
export const CANCEL_CHANNEL = 'roundsman_cancel'
