import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WedgeBuffer } from './wedge';

test('what a reader types becomes the number, in upper case', () => {
  assert.deepEqual(new WedgeBuffer().finish('04a1b2c3d4'), { number: '04A1B2C3D4', isFast: false });
  assert.equal(new WedgeBuffer().finish(' ;04:A1:B2:C3? ').number, '04A1B2C3');
});

test('what is no card says why', () => {
  assert.equal(new WedgeBuffer().finish('12z4').problem, 'not-hex');
  assert.equal(new WedgeBuffer().finish('123').problem, 'too-short');
  assert.equal(new WedgeBuffer().finish('a'.repeat(33)).problem, 'too-long');
  assert.equal(new WedgeBuffer().finish('a'.repeat(32)).problem, undefined);
});

test('a reader is told from a person by its pace', () => {
  const paced = (gapMs: number) => {
    const buffer = new WedgeBuffer();
    [...'04A1B2C3'].forEach((key, idx) => buffer.key(key, idx * gapMs));
    return buffer.finish('04A1B2C3').isFast;
  };
  assert.equal(paced(8), true);
  assert.equal(paced(180), false);
});
