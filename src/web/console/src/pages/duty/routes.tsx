// The pages of the duty room.
import { AlertOutlined, AppstoreOutlined, FileDoneOutlined, HistoryOutlined } from '@ant-design/icons';
import type { PageRoute } from '../page';

export const dutyRoutes: PageRoute[] = [
  {
    path: 'duty',
    load: () => import('./desk'),
    rights: ['see-alerts'],
    nav: { group: 'duty', label: 'duty.nav.desk', icon: <AlertOutlined /> },
  },
  {
    path: 'live',
    load: () => import('./wall/wall-page'),
    rights: ['see-live'],
    nav: { group: 'duty', label: 'duty.nav.wall', icon: <AppstoreOutlined /> },
  },
  {
    path: 'entries',
    load: () => import('./entries/entries'),
    rights: ['see-entries'],
    nav: { group: 'duty', label: 'duty.nav.entries', icon: <HistoryOutlined /> },
  },
  {
    path: 'handover',
    load: () => import('./handover'),
    rights: ['see-statistics'],
    nav: { group: 'duty', label: 'duty.nav.handover', icon: <FileDoneOutlined /> },
  },
  { path: 'alerts/:id', load: () => import('./case/case-page'), rights: ['see-alerts'], under: 'duty' },
  { path: 'wall', load: () => import('./wall/wall-page'), rights: ['see-live'], isBare: true },
];
