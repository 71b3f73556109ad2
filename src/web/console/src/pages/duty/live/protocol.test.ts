import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND, readPart } from './protocol';

test('a binary message is read as the gateway writes it', () => {
  const bytes = Uint8Array.from([
    1, 1, 0, 7, 0, 0, 1, 2, 0, 0, 1, 0x9a, 0, 0, 0, 5, 0, 0, 1, 0x9a, 0, 0, 0, 9, 0xca, 0xfe,
  ]);
  const part = readPart(bytes.buffer);
  assert.ok(part);
  assert.deepEqual(
    [part.kind, part.id, part.sequence, part.sentMs - part.frameMs],
    [KIND.keyFragment, 7, 258, 4],
  );
  assert.equal(part.frameMs, 0x19a * 2 ** 32 + 5);
  assert.deepEqual([...part.payload], [0xca, 0xfe]);
});

test('what is no message of this version is passed over', () => {
  assert.equal(readPart(new ArrayBuffer(23)), null);
  assert.equal(readPart(new Uint8Array(24).fill(2).buffer), null);
});
