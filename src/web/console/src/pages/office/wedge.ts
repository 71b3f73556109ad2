// What a desk reader (keyboard wedge) types, made into a card's number. Pure.

/** A card's number in the API: 4 to 32 hexadecimal digits. */
const DIGITS_MIN = 4;
const DIGITS_MAX = 32;
/** A reader needs far less between two keys; a person needs more. */
const READER_KEY_GAP_MAX_MS = 80;

export interface Capture {
  number: string;
  /** Typed faster than a person types. */
  isFast: boolean;
  problem?: 'not-hex' | 'too-short' | 'too-long';
}

export class WedgeBuffer {
  private times: number[] = [];

  key(key: string, at: number): void {
    if (key.length === 1) this.times.push(at);
  }

  clear(): void {
    this.times = [];
  }

  /** Takes what stands in the field when Enter comes. */
  finish(text: string): Capture {
    // Some readers put `;` and `?` around it, as on a magnetic stripe, or `:` and spaces between bytes.
    const number = text
      .trim()
      .replace(/^;/, '')
      .replace(/\?$/, '')
      .replaceAll(/[\s:-]/g, '')
      .toUpperCase();
    const gaps = this.times.slice(1).map((at, idx) => at - (this.times[idx] ?? at));
    const isFast = gaps.length > 0 && gaps.every((gap) => gap <= READER_KEY_GAP_MAX_MS);
    const capture: Capture = { number, isFast };
    if (!/^[0-9A-F]*$/.test(number)) return { ...capture, problem: 'not-hex' };
    if (number.length < DIGITS_MIN) return { ...capture, problem: 'too-short' };
    if (number.length > DIGITS_MAX) return { ...capture, problem: 'too-long' };
    return capture;
  }
}
