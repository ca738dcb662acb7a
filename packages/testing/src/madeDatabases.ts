/** The databases of this test file that were not dropped. */
export const madeDatabases = new Set<string>()

/** What was wrong with the databases that were dropped. */
export const problems: string[] = []
