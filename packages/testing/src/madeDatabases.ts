/** Those of this test file that were not dropped. */
export const madeDatabases = new Set<string>()

/** What was wrong with those that were. */
export const problems: string[] = []
