/**
 * The command that is called most, where its arguments are so plain that no parser is needed to understand them: loading
 * one takes longer than asking the service. Whatever is spelled otherwise goes the parser's way, which also explains
 * what is wrong.
 */
import type { Run } from "./args.ts";
import type { ServiceOptions } from "./context.ts";
import { showStatus } from "./status.ts";

/** `PERMIT`, `--json`, `--config FILE` and `--socket PATH`, each at most once, in any order. Null: anything else. */
export function quickStatus(args: readonly string[]): Run | null {
  const common: ServiceOptions = { json: false };
  let permit: string | null = null;
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    if (word === "--json" && !common.json) common.json = true;
    else if (word === "--config" || word === "--socket") {
      const name = word === "--config" ? "config" : "socket";
      const value = args[++at] ?? "";
      if (common[name] !== undefined || !isPlain(value)) return null;
      common[name] = value;
    } else if (permit === null && isPlain(word)) permit = word;
    else return null;
  }
  if (permit === null) return null;
  const named = permit;
  return (context) => showStatus(named, common, context);
}

function isPlain(word: string): boolean {
  return word !== "" && !word.startsWith("-");
}
