/** Runs of equal bytes, packed as PackBits does: what a stroke changed is mostly runs. */

const LONGEST = 128;

/** 0..127: that many and one more bytes follow; 128..255: one byte follows, 130 to 3 times (257 - header + 1). */
export const pack = (bytes) => {
  const out = [];
  let literal = 0;  // bytes before `i` that are not written yet
  const flush = (end) => {
    for (let start = end - literal; start < end; start += LONGEST) {
      const stop = Math.min(start + LONGEST, end);
      out.push(stop - start - 1);
      for (let i = start; i < stop; i++) out.push(bytes[i]);
    }
    literal = 0;
  };
  for (let i = 0; i < bytes.length;) {
    let run = 1;
    while (run < LONGEST + 2 && bytes[i + run] === bytes[i]) run++;
    if (run < 3) {
      literal += run;
    } else {
      flush(i);
      out.push(258 - run, bytes[i]);
    }
    i += run;
  }
  flush(bytes.length);
  return Uint8Array.from(out);
};

/** XOR the packed bytes into `target`: done twice, it is as before. */
export const xorPacked = (packed, target) => {
  let at = 0;
  for (let i = 0; i < packed.length;) {
    const header = packed[i++];
    if (header < LONGEST) {
      for (let n = 0; n <= header; n++) target[at++] ^= packed[i++];
    } else {
      const end = at + 258 - header, value = packed[i++];
      if (value) for (let p = at; p < end; p++) target[p] ^= value;
      at = end;
    }
  }
};
