// Each page of the office, the installer, the auditor and the charts in both languages and sizes: it fits, axe finds no serious
// fault, a screenshot is left; also dark.
import { api, axe, clean, control, eventually, go, inspect, run, setUp, shot } from './lib.mjs';

const rows = (page) => page.locator('tbody tr.ant-table-row').first().waitFor();

await run('office-pages', async ({ page }) => {
  await page.addInitScript(() => {
    if (!localStorage.getItem('stairgate.shade')) localStorage.setItem('stairgate.shade', 'light');
  });
  await setUp(page);
  await happenings(page);
  const pages = [
    ['office', 'office', () => rows(page)],
    ['dwelling', 'office/dwellings/b01-u1-201', () => rows(page)],
    ['import', 'office/import', () => page.locator('.import-options').waitFor()],
    ['charts', 'charts', () => charts(page)],
    ['install-compound', 'install', () => page.locator('#compound-name').waitFor()],
    ['install-stairwells', 'install?step=stairwells', () => rows(page)],
    ['install-cameras', 'install?step=cameras', () => rows(page)],
    ['install-doors', 'install?step=doors', () => rows(page)],
    ['install-linkages', 'install?step=linkages', () => rows(page)],
    ['install-done', 'install?step=done', () => page.locator('[data-testid="missing"] :is(h2, .ant-result)').first().waitFor()],
    ['health', 'health', () => rows(page)],
    ['audit', 'audit', () => rows(page)],
    ['accounts', 'accounts', () => rows(page)],
  ];
  for (const [name, hash, ready] of pages) await inspect(page, name, hash, ready);

  // Each chart is a table too.
  await go(page, 'charts');
  await charts(page);
  for (const tab of await page.locator('.chart-card').getByText('表', { exact: true }).all()) await tab.click();
  await rows(page);
  await axe(page);
  await shot(page, 'charts-tables');

  await page.evaluate(() => localStorage.setItem('stairgate.shade', 'dark'));
  await page.reload();
  for (const [name, hash, ready] of pages) {
    await go(page, hash);
    await ready();
    await axe(page);
    await shot(page, `${name}-dark`);
  }
  clean(page);
});

/** Something for the charts and the lists to show. */
async function happenings(page) {
  for (const card of ['04D00000', '0BAD0001', '0BAD0002']) await control(`doors/b01-u1-door/swipe/${card}`);
  await eventually('alerts', 10_000, async () => (await api(page, 'GET', '/alerts')).items.length >= 1);
  const [alert] = (await api(page, 'GET', '/alerts')).items;
  for (const step of ['acknowledge', 'dispatch', 'accept', 'resolve', 'verify', 'close']) {
    const note = step === 'resolve' ? '已处理' : undefined;
    const party = step === 'dispatch' ? '夜间巡逻队' : undefined;
    await api(page, 'POST', `/alerts/${alert.id}/${step}`, { note, party });
  }
}

async function charts(page) {
  await page.locator('.chart-card').nth(4).waitFor();
  await eventually('no chart is loading', 15_000, async () =>
    (await page.locator('.chart-card .ant-skeleton').count()) === 0
    && (await page.locator('.chart[data-ready="true"] canvas').count()) >= 3);
}
