// Words of the property office, the installer, the auditor and the charts.
import type { officeZh } from './office.zh';

export const officeEn: Record<keyof typeof officeZh, string> = {
};
