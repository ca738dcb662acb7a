/** For tests that need a server without a lease: a second one on the same cluster, or one to kill. */
export { openCluster, readPassword, type Cluster } from './openCluster.ts'
export { isPostmaster, readPostmaster } from './readPostmaster.ts'
export { startServer } from './startServer.ts'
