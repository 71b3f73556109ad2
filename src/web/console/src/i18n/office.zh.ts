// Words of the property office, the installer, the auditor and the charts.
export const officeZh = {
} as const;
