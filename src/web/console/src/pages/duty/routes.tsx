// The pages of the duty room.
import { AlertOutlined } from '@ant-design/icons';
import type { PageRoute } from '../page';

export const dutyRoutes: PageRoute[] = [
  {
    path: 'duty',
    load: () => import('./desk'),
    rights: ['see-alerts'],
    nav: { group: 'duty', label: 'duty.nav.desk', icon: <AlertOutlined /> },
  },
];
