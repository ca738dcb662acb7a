export { roundsman, type RoundsmanOptions } from './roundsman.ts'
