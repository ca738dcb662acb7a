/** A database that the worker can use, and what looks into it. */
export {
  openTestDatabase as openWorkerDatabase,
  type OpenedDatabase as WorkerDatabase,
} from '@roundsman/testing/openTestDatabase'
