// What the office takes away as a file.

import { download } from '../../api/client';
import type { Right } from '../../api/types';
import type { Key, Language } from '../../i18n';
import { cell } from './cells';

interface Export {
  key: string;
  label: Key;
  path: string;
  query?: (language: Language) => Record<string, string>;
  /** The right without which it is not offered. */
  needs?: Right;
}

export const EXPORTS: Export[] = [
  {
    key: 'roster',
    label: 'office.file.roster',
    path: '/roster/export',
    query: (lang) => ({ format: 'xlsx', lang }),
    needs: 'export-roster',
  },
  {
    key: 'csv',
    label: 'office.file.csv',
    path: '/roster/export',
    query: (lang) => ({ format: 'csv', lang }),
    needs: 'export-roster',
  },
  { key: 'report', label: 'office.file.report', path: '/roster/report.xlsx', needs: 'see-reports' },
  { key: 'template', label: 'office.file.template', path: '/roster/template.xlsx' },
];

export async function takeFile(key: string, language: Language): Promise<void> {
  const wanted = EXPORTS.find((one) => one.key === key);
  if (wanted) await download(wanted.path, wanted.query?.(language));
}

/** Gives `text` to the person as a file. A byte order mark is put before it, so that a spreadsheet
 * program reads it as UTF-8. */
export function giveCsv(name: string, rows: string[][]): void {
  const text = rows.map((row) => row.map(cell).join(',')).join('\r\n');
  const blob = new Blob(['\uFEFF', text], { type: 'text/csv;charset=utf-8' });
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
