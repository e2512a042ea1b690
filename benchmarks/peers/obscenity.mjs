// Times obscenity: {"phrases": [...], "messages": [...], "runs": 5} on standard input, {"mean": µs, "p99": µs} out,
// medians of the runs, a message at a time as `timed` of phrase_speed.py does it.
import { text } from "node:stream/consumers";
import { RegExpMatcher, englishRecommendedTransformers, parseRawPattern } from "obscenity";

const { phrases, messages, runs } = JSON.parse(await text(process.stdin));
const matcher = new RegExpMatcher({
  blacklistedTerms: phrases.map((phrase, id) => ({ id, pattern: parseRawPattern(phrase.replace(/[[\]?|\\]/g, "\\$&")) })),
  ...englishRecommendedTransformers,
});
const means = [];
const late = [];
for (let run = 0; run < runs; run++) {
  const each = messages.map((message) => {
    const began = performance.now();
    matcher.getAllMatches(message);
    return (performance.now() - began) * 1e3;
  });
  means.push(each.reduce((sum, took) => sum + took, 0) / each.length);
  late.push(each.sort((a, b) => a - b)[Math.floor((each.length * 99) / 100)]);
}
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
console.log(JSON.stringify({ mean: median(means), p99: median(late) }));
