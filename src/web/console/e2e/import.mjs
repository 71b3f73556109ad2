// A spreadsheet: the dry run with what is refused and why, then the import; the files that the office takes away.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { api, axe, clean, eventually, go, run, setLanguage, setUp, shot } from './lib.mjs';

const SHEET = [
  'building,unit,number,area_m2,tenure,name,relation,card',
  '1,1,109,50.00,rented,甲某,tenant,04A1B2C3AA',
  '1,1,109,50.00,rented,<b>乙某</b>,tenant,04A1B2C3AB',
  '9,9,101,30.00,rented,丙某,tenant,04A1B2C3AC',
  '1,1,110,12.00,rented,=cmd(),tenant,8.16E+06',
].join('\n');

await run('import', async ({ page }) => {
  await setUp(page);
  await go(page, 'office');
  await page.getByRole('button', { name: '导入表格' }).click();
  await choose(page, SHEET);
  const report = page.getByTestId('import-report');
  await report.getByText('有被拒绝的行').waitFor();
  await report.getByText('配置中没有“9-9”的幢号和单元').waitFor();
  assert.equal(await report.getByRole('button', { name: /^导入 \d+ 项变更$/ }).isDisabled(), true);
  await axe(page);
  await shot(page, 'import-refused');

  // What is refused can be taken along, and no spreadsheet program runs it.
  const refused = await taken(page, () => report.getByRole('button', { name: '下载被拒绝的行' }).click());
  assert.match(refused.text, /^\uFEFF工作表,行,列,代码,原因与处理办法\r\n/);
  assert.equal(refused.text.trim().split('\r\n').length, 3);

  await setLanguage(page, 'en');
  await choose(page, SHEET);
  await report.getByText('Some rows are refused').waitFor();
  await shot(page, 'import-refused');
  await setLanguage(page, 'zh');

  await choose(page, SHEET);
  await report.getByText('有被拒绝的行').waitFor();
  await page.getByText('跳过被拒绝的行，导入其余').click();
  await report.getByRole('tab', { name: '变更（5）' }).click();
  await report.getByText('楼道 b01-u1，房号 109，面积 50.00，类型 出租').waitFor();
  await shot(page, 'import-changes');
  // Nothing is written by a dry run.
  assert.equal((await api(page, 'GET', '/dwellings?q=109')).items.length, 0);
  await report.getByRole('button', { name: '导入 5 项变更' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '导入 5 项变更' }).click();
  await page.getByText('已导入 5 项变更').waitFor();
  await page.getByText('2 行被拒绝，未导入').waitFor();
  await shot(page, 'import-done');
  const [home] = (await api(page, 'GET', '/dwellings?q=109')).items;
  assert.deepEqual([home.limit, home.holders, home.free], [4, 2, 2]);

  // What is no roster says so in the reader's language.
  await choose(page, 'a,b\n1,2\n');
  await page.locator('.ant-alert-error').waitFor();
  assert.match(await page.locator('.ant-alert-error').innerText(), /[\u4e00-\u9fff]/);

  await go(page, 'office');
  for (const [label, name] of [['花名册（XLSX', 'roster.xlsx'], ['限额报表', 'report.xlsx'], ['导入模板', 'template.xlsx']]) {
    const file = await taken(page, async () => {
      await page.getByRole('button', { name: '下载' }).click();
      await page.getByRole('menuitem', { name: new RegExp(label) }).click();
    });
    assert.equal(file.name, name);
    assert.equal(file.text.slice(0, 2), 'PK', name);
  }
  clean(page);
});

async function choose(page, text) {
  await page.locator('input[type="file"]').setInputFiles({ name: '名单.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
  await eventually('the answer', 20_000, async () =>
    (await page.getByTestId('import-report').count()) + (await page.locator('.ant-alert-error').count()) > 0);
}

async function taken(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  const text = await readFile(await download.path(), 'latin1');
  return { name: download.suggestedFilename(), text: Buffer.from(text, 'latin1').toString('utf8') };
}
