/** For a host whose own routes answer as the plugin's do, like this repository's API. */
export { answerError, sendProblem } from './answerError.ts'
export { answersBefore } from './describeRoute.ts'
