/** Greyscale PNG files, written byte for byte: no canvas stands between the mask and its file. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

const crc = (bytes) => {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
};

const chunk = (name, data) => {
  const bytes = new Uint8Array(data.length + 12), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc(bytes.subarray(4, data.length + 8)));
  return bytes;
};

const header = (width, height) => {
  const data = new Uint8Array(13), view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([8, 0, 0, 0, 0], 8);  // eight bits, greyscale, no interlacing
  return data;
};

/** `bands` yields the rows from the top in pieces of any height. Returns a Blob. */
export const greyPng = async (width, height, bands) => {
  const rows = new ReadableStream({
    pull(controller) {
      const { value, done } = bands.next();
      if (done) return controller.close();
      const count = value.length / width, filtered = new Uint8Array(value.length + count);  // filter 0 before each row
      for (let y = 0; y < count; y++) filtered.set(value.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
      controller.enqueue(filtered);
    },
  });
  const deflated = await new Response(rows.pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const parts = [signature, chunk("IHDR", header(width, height)), chunk("IDAT", new Uint8Array(deflated))];
  return new Blob([...parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
};
