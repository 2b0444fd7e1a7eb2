import type { Finding } from "./imports.ts";
import type { Syntax } from "./syntax.ts";

/** Globals that reach outside, or differ from run to run. A variable of such a name needs another name. */
const FORBIDDEN_NAMES: Record<string, string> = {
  Deno: "the runtime",
  process: "the runtime",
  globalThis: "the runtime",
  require: "the runtime",
  navigator: "the machine",
  Intl: "the machine's language and time zone",
  fetch: "the network",
  XMLHttpRequest: "the network",
  WebSocket: "the network",
  EventSource: "the network",
  console: "the terminal",
  localStorage: "the disk",
  sessionStorage: "the disk",
  caches: "the disk",
  Worker: "threads",
  BroadcastChannel: "threads",
  MessageChannel: "threads",
  performance: "the clock",
  Temporal: "the clock",
  setTimeout: "the clock",
  setInterval: "the clock",
  setImmediate: "the clock",
  queueMicrotask: "the event loop",
  crypto: "randomness",
  eval: "code that no test can read",
  Function: "code that no test can read",
};

const FORBIDDEN_MEMBERS: Record<string, string> = {
  "Date.now": "the clock",
  "AbortSignal.timeout": "the clock",
  "Math.random": "randomness",
};

/** Methods whose answer depends on the machine's language or time zone. */
const FORBIDDEN_PROPERTIES = new Set([
  "localeCompare",
  "toLocaleString",
  "toLocaleDateString",
  "toLocaleTimeString",
  "toLocaleLowerCase",
  "toLocaleUpperCase",
  "getTimezoneOffset",
  "getFullYear",
  "getMonth",
  "getDate",
  "getDay",
  "getHours",
  "getMinutes",
]);

/** Arithmetic without I/O or state of its own; each is a reason that somebody has looked at. */
const PURE_PACKAGES: ReadonlySet<string> = new Set(["@noble/hashes/sha2.js"]);

/**
 * Finds what keeps a file of the core from being pure (DESIGN 2): other packages, the runtime, I/O, the clock,
 * randomness, and anything that depends on the machine's language or time zone.
 */
export function findImpurities(file: string, syntax: Syntax): Finding[] {
  const problems: string[] = [];
  for (const specifier of syntax.imports) {
    if (PURE_PACKAGES.has(specifier)) continue;
    if (!/^\.{1,2}\//.test(specifier)) problems.push(`imports the package ${specifier}`);
    else if (!specifier.endsWith(".ts")) problems.push(`imports ${specifier}, which is not a source`);
  }
  for (const text of syntax.dynamic) problems.push(`loads at run time: ${text}`);
  for (const name of syntax.names) {
    const reach = Object.hasOwn(FORBIDDEN_NAMES, name) ? FORBIDDEN_NAMES[name] : undefined;
    if (reach !== undefined) problems.push(`uses ${name}: ${reach}`);
  }
  for (const member of syntax.members) {
    const reach = FORBIDDEN_MEMBERS[member];
    if (reach !== undefined) problems.push(`uses ${member}: ${reach}`);
  }
  for (const property of syntax.properties) {
    if (FORBIDDEN_PROPERTIES.has(property)) {
      problems.push(`uses ${property}: the machine's language or time zone`);
    }
  }
  // the clock or randomness under another name: `const { now } = Date`, `const roll = Math["random"]`
  if (syntax.asksForNow) problems.push("makes a Date of now: the clock");
  if (syntax.takesApart.has("Date") || syntax.takesApart.has("Math")) {
    problems.push("takes Date or Math apart: clock or randomness could leave unseen");
  }
  return problems.map((problem) => ({ file, problem }));
}
