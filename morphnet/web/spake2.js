// SPAKE2 over Ed25519, the browser's side, as the PyPI package spake2 speaks it: both ends get the same key if, and
// only if, they have the same password, and whoever is between them learns nothing to guess with.
import { Point } from './vendor/noble-ed25519.js';
import { hkdf, join, sha256 } from './bytes.js';

const ORDER = Point.CURVE().n;
// Points whose logarithms nobody knows; made by that package of the seeds "M" and "N".
const M = Point.fromHex('15cfd18e385952982b6a8f8c7854963b58e34388c8e6dae891db756481a02312');
const N = Point.fromHex('f04f2e7eb734b2a8f8b472eaf9c3c632576ac64aea650b496a8a20ff00e583c3');
const A = 0x41, B = 0x42; // in front of each half: whose it is

function number(bytes) {
  let found = 0n;
  for (const byte of bytes) found = (found << 8n) | BigInt(byte);
  return found;
}

function chance() {
  return number(crypto.getRandomValues(new Uint8Array(48))) % (ORDER - 1n) + 1n;
}

export async function begin(password, idA, idB, secret = chance()) {
  const scalar = number(await hkdf(password, 'SPAKE2 pw', 48)) % ORDER;
  const ours = Point.BASE.multiply(secret).add(M.multiply(scalar)).toBytes();
  async function finish(half) {
    if (half.length !== 33 || half[0] !== B) throw new Error('no half of SPAKE2');
    const theirs = half.subarray(1);
    const point = Point.fromBytes(theirs);
    if (point.isSmallOrder() || !point.isTorsionFree()) throw new Error('a point that hides nothing');
    const shared = point.add(N.multiply(scalar).negate()).multiply(secret).toBytes();
    const hashes = await Promise.all([sha256(password), sha256(idA), sha256(idB)]);
    return sha256(join(...hashes, ours, theirs, shared));
  }
  return { half: join(new Uint8Array([A]), ours), finish };
}
