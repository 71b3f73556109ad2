import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cell } from './cells';
import { filtered, overFirst, summed, total, type Wanted } from './lists';
import type { Dwelling } from './types';

function home(building: string | null, number: string, limit: number | null, holders: number): Dwelling {
  const free = limit === null ? null : Math.max(0, limit - holders);
  return {
    id: `b${building}-${number}`,
    place: 'p',
    building,
    unit: '1',
    number,
    area_m2: '94.30',
    tenure: 'rented',
    beds: null,
    from: null,
    to: null,
    limit,
    holders,
    free,
    over_limit: limit !== null && holders > limit,
    reckoning: {
      area_m2: '94.30',
      m2_per_person: '12',
      rule_version: 1,
      basis: 'area',
      counted: [],
      not_counted: [],
      surplus: [],
    },
    revision: 1,
  };
}

const ALL: Wanted = { building: null, show: 'all', tenure: null, q: '', byName: new Set() };
const homes = [
  home('2', '101', 7, 7),
  home('10', '101', 3, 5),
  home('2', '1001', 3, 4),
  home(null, 'G1', null, 9),
];

test('the furthest beyond its limit comes first, then as people count', () => {
  const order = homes.toSorted(overFirst).map((one) => one.id);
  assert.deepEqual(order, ['b10-101', 'b2-1001', 'bnull-G1', 'b2-101']);
});

test('sums are by building, buildings as people count', () => {
  const sums = summed(homes);
  assert.deepEqual(
    sums.map((one) => one.building),
    ['-', '2', '10'],
  );
  assert.deepEqual(total(sums), { building: '', dwellings: 4, holders: 25, free: 0, over: 2 });
});

test('filters hold together, and a name that the gateway found is let through', () => {
  const ids = (wanted: Partial<Wanted>) => filtered(homes, { ...ALL, ...wanted }).map((one) => one.id);
  assert.deepEqual(ids({ building: '2', show: 'over' }), ['b2-1001']);
  assert.deepEqual(ids({ show: 'full' }), ['b2-101']);
  assert.deepEqual(ids({ show: 'free' }), ['bnull-G1']);
  assert.deepEqual(ids({ q: '2-1-1001' }), ['b2-1001']);
  assert.deepEqual(ids({ q: '张三', byName: new Set(['b10-101']) }), ['b10-101']);
  assert.deepEqual(ids({ q: '张三', byName: new Set(['b10-101']), building: '2' }), []);
});

test('a cell that a spreadsheet program would run stays a text', () => {
  assert.equal(cell('=cmd()'), "'=cmd()");
  assert.equal(cell('@x'), "'@x");
  assert.equal(cell('a,"b"'), '"a,""b"""');
  assert.equal(cell('94.30'), '94.30');
});
