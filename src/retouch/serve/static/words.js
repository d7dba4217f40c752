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

/** Tell whether a prompt asks for nothing but the ground, by what the model's makers say. */
export function isRemoval(prompt, advice) {
  const said = prompt.toLowerCase().trim().replace(/\s+/g, " ").replace(/^[ .,!]+|[ .,!]+$/g, "");
  return said === "" || (advice?.removal_prompts ?? []).includes(said);
}

/** Return `{text, whole}` of what may follow: a thing after a colour or an article, or the end of the word begun. */
export function suggestionsOf(prompt, words) {
  if (!words || words.things.length === 0) return [];
  if (prompt.trim() === "") return startsOf(words).map((thing) => ({ text: thing, whole: `${article(thing)} ${thing}` }));
  const said = prompt.toLowerCase().match(/[\p{L}]+/gu) ?? [];
  const last = said.at(-1) ?? "";
  const after = () => startsOf(words).map((thing) => ({ text: thing, whole: `${prompt.trimEnd()} ${thing}` }));
  if (words.colours.includes(last) || ["a", "an", "the"].includes(last)) return after();
  const isEnded = !/\p{L}$/u.test(prompt) || words.things.some((thing) => thing.split(" ").at(-1) === last);
  if (isEnded) return [];
  const before = prompt.slice(0, prompt.length - last.length);
  const fits = [...words.colours, ...words.things].filter((word) => word.startsWith(last));
  return fits.slice(0, SHOWN).map((word) => ({ text: word, whole: before + word }));
}

function startsOf({ things }) {
  const favourites = FIRST.filter((thing) => things.includes(thing));
  return favourites.length ? favourites : things.slice(0, SHOWN);
}

function article(word) {
  return /^[aeiou]/.test(word) ? "an" : "a";
}
