import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCameras, makeDoors, makeStairwells, parts, stairwellId } from './bulk';

test('numbers and ranges are read as people write them', () => {
  assert.deepEqual(parts('1-3, 7，9A'), ['1', '2', '3', '7', '9A']);
  assert.deepEqual(parts('10～12'), ['10', '11', '12']);
  assert.deepEqual(parts('2 2 2'), ['2']);
  for (const bad of ['', '5-3', '1-9999', '1--2', 'a/b']) assert.equal(parts(bad), null, bad);
});

test('building 3, units 1 to 4 are four stairwells, and those there are left alone', () => {
  const there = [{ id: 'b03-u2', building: '3', unit: '2' }];
  const made = makeStairwells(there, '3', '1-4');
  assert.deepEqual(
    made?.rows.map((one) => one.id),
    ['b03-u1', 'b03-u3', 'b03-u4'],
  );
  assert.equal(made?.nThere, 1);
  assert.equal(makeStairwells([], '1-100', '1-100'), null);
});

test('an id is never given twice', () => {
  const made = makeStairwells([{ id: 'b03-u1', building: 'other', unit: '9' }], '3', '1');
  assert.equal(made?.rows[0]?.id, 'b03-u1-2');
  assert.equal(stairwellId('三', '1'), 'bx-u1');
  assert.equal(stairwellId('12', '10'), 'b12-u10');
});

test('each stairwell without one gets a camera and a door of its own', () => {
  const wells = [
    { id: 'b03-u1', building: '3', unit: '1' },
    { id: 'b03-u2', building: '3', unit: '2' },
  ];
  const pattern = {
    url: ' rtsp://10.0.{building}.{unit}/{n} ',
    sub_url: '',
    username: 'admin',
    password: 'x',
  };
  const cameras = makeCameras(wells, [{ id: 'old', place: 'b03-u1', url: 'rtsp://a' }], pattern);
  assert.deepEqual(cameras, [
    { id: 'b03-u2-in', place: 'b03-u2', url: 'rtsp://10.0.3.2/1', username: 'admin', password: 'x' },
  ]);
  const doors = makeDoors(wells, cameras, []);
  assert.deepEqual(
    doors.map((one) => [one.id, one.cameras]),
    [
      ['b03-u1-door', []],
      ['b03-u2-door', ['b03-u2-in']],
    ],
  );
});
