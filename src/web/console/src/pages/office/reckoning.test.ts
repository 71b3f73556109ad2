import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ledgerEn } from '../../i18n/ledger.en';
import { ledgerZh } from '../../i18n/ledger.zh';
import type { Text } from '../../i18n';
import { asSentence, inWords, quotient, type Reckoned } from './reckoning';

function textIn(words: Record<string, string>): Text {
  return (key, params = {}) =>
    (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name: string) => String(params[name]));
}

const en = textIn(ledgerEn);
const zh = textIn(ledgerZh);

function home(
  limit: number | null,
  holders: number,
  basis: Reckoned['reckoning']['basis'] = 'area',
): Reckoned {
  return { limit, holders, reckoning: { area_m2: '94.30', m2_per_person: '12', basis } };
}

test('a full dwelling says area, limit, holders and that the next person is refused', () => {
  assert.equal(
    asSentence(en, home(7, 7)),
    '94.30 m² ÷ 12 m² = 7; 7 people hold cards; the next person is refused',
  );
  assert.equal(asSentence(zh, home(7, 7)), '94.30 m² ÷ 12 m² = 7；现有 7 人持卡；再增加人员将被拒绝');
});

test('one and many are told apart', () => {
  assert.equal(
    asSentence(en, home(7, 1)),
    '94.30 m² ÷ 12 m² = 7; 1 person holds cards; 6 more people may be added',
  );
  assert.match(asSentence(en, home(7, 6)), /; 1 more person may be added$/);
  assert.match(asSentence(en, home(7, 8)), /; 1 person too many; /);
  assert.match(asSentence(en, home(7, 9)), /; 2 people too many; /);
});

test('a level goes with the words', () => {
  assert.equal(inWords(en, home(7, 6)).level, 'free');
  assert.equal(inWords(en, home(7, 7)).level, 'full');
  assert.equal(inWords(en, home(7, 8)).level, 'over');
  assert.equal(inWords(en, home(null, 8, 'unlimited')).level, 'free');
  assert.equal(inWords(en, home(0, 0, 'not-in-effect')).level, 'closed');
});

test('other reasons for a limit have words of their own', () => {
  assert.match(inWords(en, home(1, 1, 'owner-minimum')).sum, /at least 1$/);
  assert.equal(inWords(en, home(6, 1, 'beds')).sum, '6 registered beds');
});

test('nothing is rounded up, and no decimal is lost to floating point', () => {
  assert.equal(quotient('11.99', '12'), 0);
  assert.equal(quotient('12.00', '12'), 1);
  assert.equal(quotient('94.30', '12'), 7);
  assert.equal(quotient('35.7', '11.9'), 3);
  assert.equal(quotient('10', '0'), 0);
});
