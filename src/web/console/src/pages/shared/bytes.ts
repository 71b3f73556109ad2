// Bytes for people, by powers of 1000 as disks are sold.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytesOf(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return '–';
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1_000 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const text = unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1);
  return `${bytes < 0 ? '−' : ''}${text} ${UNITS[unit] ?? ''}`;
}
