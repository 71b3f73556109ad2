// Words of the property office, the installer, the auditor and the charts: each has a file of its own.
import { auditZh } from './audit.zh';
import { chartsZh } from './charts.zh';
import { installZh } from './install.zh';
import { ledgerZh } from './ledger.zh';

export const officeZh = { ...ledgerZh, ...installZh, ...auditZh, ...chartsZh } as const;
