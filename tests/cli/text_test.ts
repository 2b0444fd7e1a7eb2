import assert from "node:assert/strict";
import { counted, cut, jsonText, pad, visible, visibleText, widthOf, wrap } from "../../src/cli/text.ts";

Deno.test("visible: nothing that another system wrote can steer the terminal", () => {
  const cases: Array<[unknown, unknown, string]> = [
    ["plain", "plain", "ordinary text stays"],
    ["Bjørn 日本 é", "Bjørn 日本 é", "every script stays"],
    ["a\u001b[2Jb", "a\\u{1b}[2Jb", "an escape sequence is shown, not obeyed"],
    ["a\u009b2Jb", "a\\u{9b}2Jb", "the one-byte control sequence introducer too"],
    ["a\rb", "a\\u{d}b", "a carriage return would draw over the line"],
    ["a\nwps: all is well", "a\\u{a}wps: all is well", "a line feed would forge a second line"],
    ["abc\u202edcba", "abc\\u{202e}dcba", "right-to-left override makes text look like other text"],
    ["per\u200bmit", "per\\u{200b}mit", "zero-width space hides a difference"],
    [{ a: ["\u0007", 1, null, true] }, { a: ["\\u{7}", 1, null, true] }, "nested, other types untouched"],
  ];
  for (const [given, expected, reason] of cases) assert.deepEqual(visible(given), expected, reason);
  assert.equal(visibleText("a\n\tb\u001b"), "a\n\tb\\u{1b}", "several lines keep their own line feeds");
});

Deno.test("jsonText: the same value, without raw controls", () => {
  const value = { text: '\u001b\u007f\u009b\u202e\n"' };
  for (const indent of [0, 2]) {
    const text = jsonText(value, indent);
    assert.deepEqual(JSON.parse(text), value, "it reads back as it was");
    // deno-lint-ignore no-control-regex -- controls are what is looked for
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, "no control is left");
  }
});

Deno.test("widthOf: columns as terminals count them", () => {
  const cases: Array<[string, number, string]> = [
    ["abc", 3, "ASCII"],
    ["é", 1, "one composed letter"],
    ["e\u0301", 1, "a combining accent takes no column"],
    ["日本", 4, "CJK takes two each"],
    ["\u001b[31mred\u001b[39m", 3, "colours take none"],
    ["→✓█", 3, "our own signs"],
  ];
  for (const [text, width, reason] of cases) assert.equal(widthOf(text), width, reason);
  assert.equal(widthOf(pad("日", 5)), 5);
  assert.equal(pad("longer", 3), "longer", "a longer text stays");
});

Deno.test("cut: never wider than asked", () => {
  assert.equal(cut("short", 10), "short");
  assert.equal(cut("a longer text", 8), "a longe…");
  assert.equal(widthOf(cut("日本語テキスト", 6)), 5, "half a letter is left out");
});

Deno.test("wrap: breaks at blanks only", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("persistentvolumeclaim", 5), ["persistentvolumeclaim"], "a long name stays whole");
});

Deno.test("counted: one is no plural, none is", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "step")), ["0 steps", "1 step", "2 steps"]);
});
