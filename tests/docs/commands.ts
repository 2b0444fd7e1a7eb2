/** Command lines as documents show them, and whether the program would take them. */
import { parseSync, suggestSync } from "@optique/core/parser";
import type { CommandParser } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";

/** The words of each `wps …` in a line of a shell; comments, pipes and what stands before are left out. */
export function wpsCalls(line: string): string[][] {
  const calls: string[][] = [];
  let begins = true;
  let call: string[] | null = null;
  for (const word of shellWords(line)) {
    if (/^(\||&&|;|>|2>&1)$/.test(word)) {
      begins = /^(\||&&|;)$/.test(word);
      call = null;
      continue;
    }
    if (begins && word === "wps") calls.push(call = []);
    else call?.push(word);
    begins = false;
  }
  return calls;
}

/** Why the program would refuse these words; null: it takes them. `whole` false: arguments may be left out. */
export async function refusal(words: string[], whole: boolean): Promise<string | null> {
  const [name = "", ...rest] = words.filter((word) => word !== "--help");
  if (name === "" || name === "COMMAND" || name === "--version") return null;
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry === undefined) return `there is no command ${name}`;
  const { command } = await entry.load();
  const given = [name, ...rest.map(stand)];
  if (words.includes("--help")) return unknownWord(command, given);
  if (parseSync(command, given).success) return null;
  return whole ? `wps ${words.join(" ")} is refused` : unknownWord(command, given);
}

/** Documents write ID and SEQ where a number is meant. */
function stand(word: string): string {
  return /^(ID|SEQ)$/.test(word) ? "41" : word;
}

/** The first word that cannot stand where it does, judged by what completion would offer. */
function unknownWord(command: CommandParser, words: string[]): string | null {
  for (const [index, word] of words.entries()) {
    if (index === 0) continue;
    const [first = "", ...before] = words.slice(0, index);
    const prefix = word.startsWith("--") ? "--" : "";
    const offered = suggestSync(command, [first, ...before, prefix])
      .flatMap((suggestion) => suggestion.kind === "literal" ? [suggestion.text] : [])
      .filter((text) => text.startsWith("-") === (prefix === "--"));
    if (offered.includes(word)) continue;
    if (prefix === "--" || offered.length > 0) {
      return `${words.slice(0, index).join(" ")} does not know ${word}`;
    }
    return null; // a free argument; what follows it was judged by the parser alone
  }
  return null;
}

/** The words of a line as a shell splits them, quotes taken off; operators are words, a comment ends the line. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  for (
    const [whole, single, double] of line.matchAll(/'([^']*)'|"([^"]*)"|2>&1|&&|[|;>]|#.*$|[^\s'"|;>]+/g)
  ) {
    if (whole.startsWith("#")) break;
    words.push(single ?? double ?? whole);
  }
  return words;
}
