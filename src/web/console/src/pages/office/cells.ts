// Cells of a CSV file. Pure.

/** One cell (RFC 4180); what a spreadsheet program would take for a formula is kept a text. */
export function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
