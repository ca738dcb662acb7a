/** For a host whose own routes answer like the plugin's, such as this repository's API. */
export { answerError, sendProblem } from './answerError.ts'
export { answersBefore } from './describeRoute.ts'
