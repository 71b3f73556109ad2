// The pages of the property office, the installer, the auditor, and the charts.
import type { PageRoute } from '../page';

export const officeRoutes: PageRoute[] = [];
