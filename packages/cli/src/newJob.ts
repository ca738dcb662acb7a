// For a product that writes jobs into places of its own. It loads a parser, which no other entry needs.
export { checkRequest, type NewJobRequest } from './newJob/checkRequest.ts'
export { addToCatalogue, addToHandlers, topLevelNames } from './newJob/editModule.ts'
