/** What a worker asks for that wants work of a job. */
export const claimRequest = (
  name: string,
  { limit = 10, exclusiveKey = null }: { limit?: number; exclusiveKey?: string | null } = {},
) => ({ claimId: crypto.randomUUID(), name, limit, exclusiveKey, expireSeconds: 900 })
