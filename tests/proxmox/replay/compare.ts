/** Compares an answer with the recorded one: status, reason, content type, and every key and value of the body. */
import type { ApiReply } from "../wire/reply.ts";
import type { Bindings } from "./placeholders.ts";
import type { Exchange } from "./recordings.ts";

/** Lists whose order on the server is accidental, as the recordings' legend says. */
const UNORDERED =
  /^\/(?:cluster\/resources|storage|pools|nodes\/[^/]+\/(?:qemu|storage|storage\/[^/]+\/content|qemu\/[^/]+\/(?:pending|cloudinit)))(?:\?|$)/;
/** The same inside one value: kinds of content, in the order of a hash. */
const UNORDERED_TEXT = /(?:^|\.)content$/;

/** What differs, a line each; nothing when the answers are the same. Bindings keep what the placeholders stand for. */
export function compareReply(exchange: Exchange, reply: ApiReply, bindings: Bindings): string[] {
  const differences: string[] = [];
  const expect = (what: string, expected: unknown, actual: unknown): void => {
    if (expected !== actual) differences.push(`${what}: recorded ${expected}, got ${actual}`);
  };
  expect("status", exchange.status, reply.status);
  expect("content type", exchange.contentType, reply.contentType);
  if (!bindings.matchesText(exchange.reason, reply.reason)) {
    differences.push(`reason: recorded ${exchange.reason}, got ${reply.reason}`);
  }
  if (exchange.raw !== undefined) expect("body", exchange.raw, reply.body);
  else if (differences.length === 0) differences.push(...compareBody(exchange, reply, bindings));
  return differences;
}

function compareBody(
  { path, response, note = "" }: Exchange,
  { body }: ApiReply,
  bindings: Bindings,
): string[] {
  const comparison: Comparison = {
    bindings,
    isUnordered: UNORDERED.test(path),
    isPartial: /lines? left out/.test(note) && /\/log(?:\?|$)/.test(path),
  };
  return compare("", response, JSON.parse(body), comparison);
}

interface Comparison {
  bindings: Bindings;
  isUnordered: boolean;
  /** A log of which lines were left out: they are found by their number. */
  isPartial: boolean;
}

function compare(at: string, expected: unknown, actual: unknown, comparison: Comparison): string[] {
  if (typeof expected === "string") return compareText(at, expected, actual, comparison);
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return [`${at}: recorded a list, got ${show(actual)}`];
    if (comparison.isUnordered) return compareUnordered(at, expected, actual, comparison);
    return compareList(at, expected, actual, comparison);
  }
  if (isRecord(expected)) {
    if (!isRecord(actual)) return [`${at}: recorded an object, got ${show(actual)}`];
    return compareRecord(at, expected, actual, comparison);
  }
  return expected === actual ? [] : [`${at}: recorded ${show(expected)}, got ${show(actual)}`];
}

function compareText(at: string, expected: string, actual: unknown, { bindings }: Comparison): string[] {
  if (expected.startsWith("{{#")) {
    return bindings.matchesNumber(expected, actual)
      ? []
      : [`${at}: recorded ${expected}, got ${show(actual)}`];
  }
  if (typeof actual !== "string") return [`${at}: recorded ${show(expected)}, got ${show(actual)}`];
  const sorted = (text: string): string => UNORDERED_TEXT.test(at) ? text.split(",").sort().join(",") : text;
  return bindings.matchesText(sorted(expected), sorted(actual))
    ? []
    : [`${at}: recorded ${show(expected)}, got ${show(actual)}`];
}

function compareList(at: string, expected: unknown[], actual: unknown[], comparison: Comparison): string[] {
  if (comparison.isPartial && at === ".data") {
    return expected.flatMap((line) => {
      const n = isRecord(line) ? line["n"] : undefined;
      const found = actual.find((other) => isRecord(other) && other["n"] === n);
      return compare(`${at}[n=${n}]`, line, found, comparison);
    });
  }
  const count = expected.length === actual.length
    ? []
    : [`${at}: recorded ${expected.length} entries, got ${actual.length}: ${show(actual)}`];
  return [
    ...count,
    ...expected.slice(0, actual.length).flatMap((item, index) =>
      compare(`${at}[${index}]`, item, actual[index], comparison)
    ),
  ];
}

/** Each recorded entry needs one of its own among the actual ones, in whatever order. */
function compareUnordered(
  at: string,
  expected: unknown[],
  actual: unknown[],
  comparison: Comparison,
): string[] {
  const rest = [...actual];
  const differences: string[] = [];
  for (const item of expected) {
    let nearest: string[] | undefined;
    const index = rest.findIndex((candidate) => {
      const bindings = comparison.bindings.copy();
      const found = compare(at, item, candidate, { ...comparison, bindings });
      if (found.length === 0) comparison.bindings.adopt(bindings);
      else if (nearest === undefined || found.length < nearest.length) nearest = found;
      return found.length === 0;
    });
    if (index >= 0) rest.splice(index, 1);
    else differences.push(`${at}: recorded ${show(item)}; nearest: ${nearest?.join("; ") ?? "nothing"}`);
  }
  if (actual.length > expected.length) differences.push(`${at}: not recorded ${show(rest)}`);
  return differences;
}

function compareRecord(
  at: string,
  recorded: Record<string, unknown>,
  actual: Record<string, unknown>,
  comparison: Comparison,
): string[] {
  const expected = Object.fromEntries(
    Object.entries(recorded).map(([key, value]) => [comparison.bindings.fill(key, () => ""), value]),
  );
  const missing = Object.keys(expected).filter((key) => !Object.hasOwn(actual, key));
  const added = Object.keys(actual).filter((key) => !Object.hasOwn(expected, key));
  const common = Object.keys(expected).filter((key) => Object.hasOwn(actual, key));
  return [
    ...missing.map((key) => `${at}.${key}: recorded ${show(expected[key])}, missing`),
    ...added.map((key) => `${at}.${key}: not recorded, got ${show(actual[key])}`),
    ...common.flatMap((key) => compare(`${at}.${key}`, expected[key], actual[key], comparison)),
  ];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
