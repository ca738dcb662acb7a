/** For who wants a server without a lease on it: two of one cluster, or one that is to be killed. */
export { openCluster, readPassword, type Cluster } from './openCluster.ts'
export { isPostmaster, readPostmaster } from './readPostmaster.ts'
export { startServer } from './startServer.ts'
