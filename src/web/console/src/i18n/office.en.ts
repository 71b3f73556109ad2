// Words of the property office, the installer, the auditor and the charts: each has a file of its own.
import { auditEn } from './audit.en';
import { chartsEn } from './charts.en';
import { installEn } from './install.en';
import { ledgerEn } from './ledger.en';
import type { officeZh } from './office.zh';

export const officeEn: Record<keyof typeof officeZh, string> = { ...ledgerEn, ...installEn, ...auditEn, ...chartsEn };
