// The pages of the property office, the installer, the auditor, and the charts.
import {
  AuditOutlined,
  BarChartOutlined,
  HeartOutlined,
  HomeOutlined,
  TeamOutlined,
  ToolOutlined,
} from '@ant-design/icons';
import type { PageRoute } from '../page';

export const officeRoutes: PageRoute[] = [
  {
    path: 'office',
    load: () => import('./office-page'),
    rights: ['see-roster'],
    nav: { group: 'office', label: 'nav.dwellings', icon: <HomeOutlined /> },
  },
  { path: 'office/import', load: () => import('./import-page'), rights: ['import-roster'], under: 'office' },
  {
    path: 'office/dwellings/:id',
    load: () => import('./dwelling-page'),
    rights: ['see-roster'],
    under: 'office',
  },
  {
    path: 'charts',
    load: () => import('../charts/charts-page'),
    rights: ['see-statistics', 'see-health'],
    nav: { group: 'office', label: 'nav.charts', icon: <BarChartOutlined /> },
  },
  {
    path: 'install',
    load: () => import('../installer/install-page'),
    rights: ['see-site'],
    nav: { group: 'installer', label: 'nav.install', icon: <ToolOutlined /> },
  },
  {
    path: 'health',
    load: () => import('../installer/health-page'),
    rights: ['see-health'],
    nav: { group: 'installer', label: 'nav.health', icon: <HeartOutlined /> },
  },
  {
    path: 'audit',
    load: () => import('../audit/audit-page'),
    rights: ['see-audit'],
    nav: { group: 'audit', label: 'nav.audit-log', icon: <AuditOutlined /> },
  },
  {
    path: 'accounts',
    load: () => import('../audit/accounts-page'),
    rights: ['see-accounts'],
    nav: { group: 'audit', label: 'nav.accounts', icon: <TeamOutlined /> },
  },
];
