// What every scenario stands on: a browser, someone who is logged in, screenshots, and checks that hold on each page.
//
// The environment says where the gateway is (STAIRGATE_URL), how to make things happen (STAIRGATE_CONTROL), the token
// of the first start (STAIRGATE_SETUP), and where screenshots go (STAIRGATE_SCREENS).
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const BASE = need('STAIRGATE_URL');
export const SETUP = process.env.STAIRGATE_SETUP ?? '';
const CONTROL = process.env.STAIRGATE_CONTROL ?? '';
const SCREENS = process.env.STAIRGATE_SCREENS ?? 'screens';
export const ADMIN = { name: 'chief', password: 'a long password 1' };
export const SIZES = [{ width: 1366, height: 768 }, { width: 1920, height: 1080 }];
export const LANGUAGES = ['zh', 'en'];

/** A step that takes longer has failed. */
const STEP_MS = 30_000;

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

function need(name) {
  const value = process.env[name];
  assert.ok(value, `set ${name}`);
  return value;
}

/** Runs `scenario` with a browser of its own; the process ends with what came of it. */
export async function run(name, scenario) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server', '--mute-audio'],
  });
  mkdirSync(SCREENS, { recursive: true });
  const context = await browser.newContext({ viewport: SIZES[0], locale: 'zh-CN' });
  const page = await open(context);
  try {
    await scenario({ browser, context, page });
    console.log(`${name}: done`);
  } catch (error) {
    await page.screenshot({ path: join(SCREENS, `failed-${name}.png`) }).catch(() => undefined);
    console.error(`${name}: ${error.stack ?? error}`);
    console.error(`page: ${page.url()}\n${page.complaints.join('\n')}`);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** A page whose complaints are kept: nothing may be refused by the policy, no script may fail, nothing may leave the gateway. */
export async function open(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`script: ${error.message}`));
  page.on('console', (message) => {
    // What a scenario provokes, such as a wrong password, is logged by the browser too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      page.complaints.push(`console: ${message.text()}`);
    }
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(BASE) && !/^(blob|data):/.test(url)) page.complaints.push(`left the gateway: ${url}`);
  });
  return page;
}

/** Nothing was complained about so far. */
export function clean(page) {
  assert.deepEqual(page.complaints, []);
}

/** Opens `hash` (without `#/`) afresh. */
export async function go(page, hash) {
  await page.goto(`${BASE}/#/${hash}`);
}

/** The first account, made by the one-time link as a person does. */
export async function setUp(page) {
  await go(page, `setup/${SETUP}`);
  await page.locator('input[autocomplete="username"]').fill(ADMIN.name);
  const passwords = page.locator('input[autocomplete="new-password"]');
  await passwords.nth(0).fill(ADMIN.password);
  await passwords.nth(1).fill(ADMIN.password);
  await page.locator('button[type="submit"]').click();
  await page.locator('.sg-frame').waitFor();
}

export async function logIn(page, { name, password }) {
  await page.locator('input[autocomplete="username"]').fill(name);
  await page.locator('input[autocomplete="current-password"]').fill(password);
  await page.locator('button[type="submit"]').click();
}

/** Makes an account with a password of its own, by the API, as `page`'s admin. */
export async function account(page, name, role, buildings = null) {
  const made = await api(page, 'POST', '/accounts', { name, role, buildings });
  const password = `a pass phrase as ${role.length} words`;
  const answer = await fetch(`${BASE}/api/v1/setup`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token: made.invite, password }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return { name, password };
}

/** Asks the API as the page's own account. */
export async function api(page, method, path, body) {
  const answer = await page.evaluate(
    async ([method, path, body]) => {
      const me = await (await fetch('/api/v1/me')).json();
      const headers = { 'X-Stairgate-Csrf': me.csrf };
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      const response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    },
    [method, path, body],
  );
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.text === '' ? null : JSON.parse(answer.text);
}

/** Makes something happen in the compound: `doors/b01-u1-door/swipe/0BAD0001`. */
export async function control(path) {
  const answer = await fetch(`${CONTROL}/${path}`, { method: 'POST' });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return text;
}

/** Looks until `look` gives something other than `null` or `false`; fails with `what` after `withinMs`. Gives [value, ms]. */
export async function eventually(what, withinMs, look) {
  const begun = performance.now();
  let last;
  do {
    last = await look();
    if (last !== null && last !== false && last !== undefined) return [last, performance.now() - begun];
    await new Promise((done) => setTimeout(done, 50));
  } while (performance.now() - begun < withinMs);
  assert.fail(`not within ${withinMs} ms: ${what}`);
}

export async function setLanguage(page, language) {
  await page.evaluate((language) => localStorage.setItem('stairgate.language', language), language);
  await page.reload();
}

/** No part of the page is cut off at the side, and nothing scrolls sideways. */
export async function fits(page) {
  const wide = await page.evaluate(() => {
    const root = document.documentElement;
    const wide = [];
    if (root.scrollWidth > root.clientWidth) wide.push(`page ${root.scrollWidth} > ${root.clientWidth}`);
    const main = document.querySelector('#page');
    if (main && main.scrollWidth > main.clientWidth) wide.push(`main ${main.scrollWidth} > ${main.clientWidth}`);
    return wide;
  });
  assert.deepEqual(wide, [], `${page.url()} at ${page.viewportSize().width}`);
}

/** No serious fault of accessibility, by axe-core. */
export async function axe(page) {
  // The policy of the page allows no script of ours in it; the browser's own door does.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: AXE });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations
      .filter((fault) => fault.impact === 'serious' || fault.impact === 'critical')
      .map((fault) => fault.id + ': ' + fault.nodes.slice(0, 4).map((node) => node.target.join(' ') + ' ' +
        (node.any[0]?.message ?? '')).join(' | '))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
  assert.deepEqual(JSON.parse(result.value), [], `axe on ${page.url()}`);
}

export async function shot(page, name) {
  const { width } = page.viewportSize();
  const language = await page.evaluate(() => (document.documentElement.lang.startsWith('zh') ? 'zh' : 'en'));
  await page.screenshot({ path: join(SCREENS, `${name}-${language}-${width}.png`) });
}

/** Looks at one page in both languages and sizes: it fits, axe finds nothing serious, and a screenshot is left. `ready` waits. */
export async function inspect(page, name, hash, ready) {
  for (const language of LANGUAGES) {
    await setLanguage(page, language);
    for (const size of SIZES) {
      await page.setViewportSize(size);
      await go(page, hash);
      await ready();
      await fits(page);
      if (size === SIZES[0]) await axe(page);
      await shot(page, name);
    }
  }
  await page.setViewportSize(SIZES[0]);
  await setLanguage(page, 'zh');
}
