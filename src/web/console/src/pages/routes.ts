// Every page: each area has its own list.
import { may } from '../session';
import type { Me } from '../api/types';
import { dutyRoutes } from './duty/routes';
import { officeRoutes } from './office/routes';
import type { PageRoute } from './page';

export const routes: PageRoute[] = [...dutyRoutes, ...officeRoutes];

/** The page of `path`, as it stands in the lists. */
export function shown(path: string): PageRoute | undefined {
  return routes.find((route) => route.path === path);
}

export function mayOpen(me: Me, route: PageRoute): boolean {
  return route.rights.length === 0 || route.rights.some((right) => may(me, right));
}

/** Where someone begins: the first page of the navigation that is open to them. */
export function startOf(me: Me): PageRoute | undefined {
  return routes.find((route) => route.nav !== undefined && mayOpen(me, route));
}
