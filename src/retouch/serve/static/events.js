// Server-sent events over `fetch`, which can send a key where `EventSource` cannot.

/** Yield `{event, data}` of a stream of bytes, as the standard parses it; comments are left out. */
export async function* parseEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const parsed = parseBlock(block);
        if (parsed !== null) yield parsed;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the consumer has left, or the connection is gone
  }
}

function parseBlock(block) {
  let event = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}
