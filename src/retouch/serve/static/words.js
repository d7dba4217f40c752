// The words of a small model: what a person may say next, and what it will not know. As `retouch.models.vocabulary`.

const GRAMMAR = new Set(
  "a an the and or of in on at by to with from for near over under its it is are this that some very".split(" "),
);
const SHOWN = 8;
const FIRST = ["apple", "cat", "teddy bear", "sunflower", "car", "cupcake", "palm tree", "owl"];

/** Return the words of a prompt that the model does not know; none where its vocabulary is open. */
export function unknownWords(prompt, words) {
  if (!words) return [];
  const known = new Set(words.known);
  const said = new Set((prompt.toLowerCase().match(/[\p{L}]+(?:'[\p{L}]+)?/gu) ?? []));
  const isKnown = (word) =>
    [word, word.replace(/'s$/, ""), word.replace(/s$/, ""), word.replace(/es$/, ""), word.replace(/ies$/, "y")].some((stem) =>
      known.has(stem),
    );
  return [...said].filter((word) => !GRAMMAR.has(word) && !isKnown(word)).slice(0, 5);
}

/** Return `{text, whole}` of what may complete a prompt: the thing begun, else a colour, else a few things. */
export function suggestionsOf(prompt, words) {
  if (!words || words.things.length === 0) return [];
  const last = /([\p{L} ]*)$/u.exec(prompt)[1].toLowerCase().trimStart().replace(/^(a|an|the) /, "");
  const stem = last.split(" ").at(-1);
  if (prompt.trim() === "") return startsOf(words).map((thing) => ({ text: thing, whole: `${article(thing)} ${thing}` }));
  if (stem === "" || words.things.includes(last) || words.things.includes(stem)) return [];
  const before = prompt.slice(0, prompt.length - stem.length);
  const fits = [...words.colours, ...words.things].filter((word) => word.startsWith(stem) && word !== stem);
  const next = words.colours.includes(stem) ? startsOf(words).map((thing) => ({ text: thing, whole: `${prompt.trimEnd()} ${thing}` })) : [];
  return [...fits.map((word) => ({ text: word, whole: before + word })), ...next].slice(0, SHOWN);
}

function startsOf({ things }) {
  const favourites = FIRST.filter((thing) => things.includes(thing));
  return favourites.length ? favourites : things.slice(0, SHOWN);
}

function article(word) {
  return /^[aeiou]/.test(word) ? "an" : "a";
}
