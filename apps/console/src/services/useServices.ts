import { useContext } from 'react'
import { ServicesContext, type Services } from './ServicesContext.ts'

/**
 * The services of the page: settings, API, clock, reachability and live updates.
 * @throws Error outside of a ServicesContext
 */
export function useServices(): Services {
  const services = useContext(ServicesContext)
  if (services === null) throw new Error('There is no ServicesContext around this component')
  return services
}
