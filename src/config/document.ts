/** A YAML text that remembers where each key stands, so that a problem names line and column. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import type { z } from "zod";
import { keyText, type Problem } from "./problem.ts";

/** A file of the site is written by hand; larger ones are mistakes. */
const TEXT_MAX = 512 * 1024;
/** An alias may repeat a mount list; more is an expansion attack or an accident. */
const ALIAS_MAX = 100;

/** Where something stands; both count from 1. */
export interface Position {
  line: number;
  column: number;
}

/** A parsed text: its plain value, and the way from a path back to the text. */
export interface YamlDocument {
  file: string;
  /** Plain data; undefined when the text is empty. */
  value: unknown;
  /** The nearest place that exists for a path; with `key`, the key of that name in the mapping there. */
  locate(path: readonly PropertyKey[], key?: string): Position;
}

/** Our words for what the parser found; its own may quote the text, which may hold a secret. */
const SYNTAX: Record<string, string> = {
  BAD_ALIAS: "an alias names an anchor that does not exist",
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a plain text cannot begin with this character; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: 'wrong nesting: a block began where a key was expected (quote texts that hold ": ")',
  DUPLICATE_KEY: "this key is given twice",
  MISSING_CHAR: "a character is missing, e.g. a closing quote or bracket",
  MULTIPLE_DOCS: "expected one document; a second begins here",
  TAB_AS_INDENT: "indentation by tab; use spaces",
  TAG_RESOLVE_FAILED: "YAML tags are not supported here",
  UNEXPECTED_TOKEN: "unexpected character; a quote, colon or bracket may be misplaced",
};

/** Parses one YAML text. Syntax errors come back as problems, never as exceptions. */
export function parseYaml(
  file: string,
  text: string,
): { document: YamlDocument; problems: [] } | { document: null; problems: Problem[] } {
  if (text.length > TEXT_MAX) {
    const message = `the file has ${text.length} characters; at most ${TEXT_MAX} are read`;
    return {
      document: null,
      problems: [{ file, line: null, column: null, key: "", message, invariant: null }],
    };
  }
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = [...parsed.errors, ...parsed.warnings];
  if (syntax.length > 0) {
    const problems = syntax.map(({ code, pos }): Problem => {
      const { line, col } = lines.linePos(pos[0]);
      const message = `not valid YAML: ${SYNTAX[code] ?? code.toLowerCase().replaceAll("_", " ")}`;
      return { file, line, column: col, key: "", message, invariant: null };
    });
    return { document: null, problems };
  }
  const position = (node: Node | null): Position => {
    const start = node?.range?.[0];
    if (start === undefined) return { line: 1, column: 1 };
    const { line, col } = lines.linePos(start);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const locate = (path: readonly PropertyKey[], key?: string): Position =>
    position(
      nodeAt(parsed.contents, path, key, (node) => isAlias(node) ? node.resolve(parsed) ?? null : node),
    );
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: ALIAS_MAX }) ?? undefined;
  } catch {
    const message = `not valid YAML: more than ${ALIAS_MAX} uses of aliases`;
    return { document: null, problems: [{ file, line: 1, column: 1, key: "", message, invariant: null }] };
  }
  return { document: { file, value, locate }, problems: [] };
}

/** The node to point at: a scalar's value, a collection's key; where the path ends early, the last that exists. */
function nodeAt(
  root: Node | null,
  path: readonly PropertyKey[],
  key: string | undefined,
  resolve: (node: Node | null) => Node | null,
): Node | null {
  let current = resolve(root);
  let shown = current;
  for (const part of path) {
    if (isMap<Node, Node | null>(current)) {
      const pair: Pair<Node, Node | null> | undefined = current.items.find((item) => isNamed(item.key, part));
      if (pair === undefined) return shown;
      current = resolve(pair.value);
      shown = isScalar(pair.value) && pair.value.value !== null ? pair.value : pair.key;
    } else if (isSeq<Node>(current) && typeof part === "number" && current.items[part] !== undefined) {
      shown = current.items[part];
      current = resolve(shown);
    } else {
      return shown;
    }
  }
  if (key !== undefined && isMap<Node, Node | null>(current)) {
    return current.items.find((item) => isNamed(item.key, key))?.key ?? shown;
  }
  return shown;
}

function isNamed(key: Node, name: PropertyKey): boolean {
  return isScalar(key) && String(key.value) === String(name);
}

/** A problem before it has a place. */
export interface Complaint {
  path: PropertyKey[];
  /** Set when the complaint is about a key that the mapping at `path` should not have. */
  key?: string;
  message: string;
  /** The invariant of DESIGN 5 that it would break. */
  invariant?: number;
}

/** Zod's issues in our words; `value` is what was parsed, to tell a missing key from a wrong one. */
export function complaints(error: z.ZodError, value: unknown): Complaint[] {
  return error.issues.flatMap((issue) => fromIssue(issue, [], value));
}

function fromIssue(issue: z.core.$ZodIssue, above: PropertyKey[], value: unknown): Complaint[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case "unrecognized_keys": {
      const messages = issue.message.split("\n");
      return issue.keys.map((key, index) => ({ path, key, message: messages[index] ?? "unknown key" }));
    }
    case "invalid_key":
    case "invalid_element": {
      const parent = path.slice(0, -1);
      return [{ path: parent, key: String(path.at(-1)), message: issue.issues[0]?.message ?? issue.message }];
    }
    case "invalid_union": {
      const inner = nearestAlternative(issue.errors);
      if (inner !== null) return inner.flatMap((nested) => fromIssue(nested, path, value));
      break;
    }
  }
  // A rule of our own (custom) speaks of what is there or of several keys; the others judge the value itself.
  if (issue.code !== "custom" && valueAt(value, path) === undefined) {
    return [{ path, message: `missing: ${plain(issue)}` }];
  }
  return [{ path, message: plain(issue) }];
}

/** The alternative whose complaints lie deeper than "wrong type altogether": what the author meant to write. */
function nearestAlternative(alternatives: z.core.$ZodIssue[][]): z.core.$ZodIssue[] | null {
  const meant = alternatives.filter((issues) =>
    issues.every(({ path, code }) => path.length > 0 || code === "unrecognized_keys")
  );
  return meant.sort((a, b) => a.length - b.length)[0] ?? null;
}

/** Zod's own wording is kept only where a schema gave none of its own. */
function plain(issue: z.core.$ZodIssue): string {
  if (!issue.message.startsWith("Invalid input: expected ")) return issue.message;
  const wanted = issue.message.slice("Invalid input: expected ".length).split(",")[0] ?? "";
  const words: Record<string, string> = {
    object: "a mapping (key: value)",
    record: "a mapping (key: value)",
    array: "a list",
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
  };
  return `expected ${words[wanted] ?? wanted}`;
}

/** What stands at a path of plain data; undefined when nothing does. */
function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, part);
  }
  return current;
}

/** Complaints placed in their document. */
export function place(document: YamlDocument, found: Complaint[]): Problem[] {
  return found.map(({ path, key, message, invariant }) => ({
    file: document.file,
    ...document.locate(path, key),
    key: keyText(key === undefined ? path : [...path, key]),
    message,
    invariant: invariant ?? null,
  }));
}
