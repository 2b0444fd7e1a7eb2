import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { problemLine } from "../../src/config/problem.ts";
import { configJsonSchema, type JsonSchema } from "../../src/config/schema.ts";
import { EVENT_TYPES, VERDICTS } from "../../src/core/event.ts";
import { REASONS } from "../../src/core/fault.ts";
import { JOB_STATES } from "../../src/core/job.ts";
import { MEMBERS_MAX } from "../../src/core/member.ts";
import { effectOf } from "../../src/core/merge.ts";
import type { RawMessage } from "../../src/intake/envelope.ts";
import { CIDRS_MAX, HOLDERS_MAX, KEYS_MAX } from "../../src/intake/fields.ts";
import { parseMessage } from "../../src/intake/message.ts";
import { readKubeconfig } from "../../src/drivers/kubernetes/kubeconfig.ts";
import { memoryFiles } from "../config/memory_files.ts";
import { rawMessage } from "../intake/messages.ts";
import { loadBuiltIn } from "../phases/site.ts";
import { refusal, shellWords, wpsCalls } from "./commands.ts";
import { type Block, type Document, readMarkdown } from "./markdown.ts";
import { exists, listRepository, readRepository } from "./repository.ts";

/** Documents that speak of what is there; docs/design.md also describes what is planned. */
const DOCUMENTS = ["README.md", ...listRepository("docs").filter((path) => path.endsWith(".md"))]
  .filter((path) => path !== "docs/design.md").map((path) => readMarkdown(path, readRepository(path)));
const ALL = [...DOCUMENTS, readMarkdown("docs/design.md", readRepository("docs/design.md"))];

const named = (path: string): Document => {
  const found = DOCUMENTS.find((document) => document.path === path);
  assert.ok(found, path);
  return found;
};
const blocksOf = (tag: string): [string, Block][] =>
  DOCUMENTS.flatMap(({ path, blocks }) =>
    blocks.filter(({ tags }) => tags.includes(tag)).map((block): [string, Block] => [
      `${path}:${block.line}`,
      block,
    ])
  );
/** Lines of shell and console blocks that a person would type, continued ones joined. */
const typed = ({ language, text }: Block): string[] => {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  if (language === "sh") return lines;
  return language === "console"
    ? lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2))
    : [];
};

Deno.test("documents: each wps command that they show is one that the program takes", async () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const { path, blocks, spans } of DOCUMENTS) {
    for (const block of blocks) {
      for (const words of typed(block).flatMap(wpsCalls)) {
        seen++;
        const why = await refusal(words, true);
        if (why !== null) wrong.push(`${path}:${block.line}: ${why}`);
      }
    }
    for (const { code, around, line } of spans.filter(({ code }) => /^wps( |$)/.test(code))) {
      const why = await refusal(wpsCalls(code)[0] ?? [], false);
      const isPlanned = around.includes(`no \`${code}\` yet`);
      seen++;
      if (why !== null && !isPlanned) wrong.push(`${path}:${line}: ${code}: ${why}`);
      if (why === null && isPlanned) wrong.push(`${path}:${line}: ${code} is there by now`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 40, `${seen} commands were found`);
});

Deno.test("refusal: tells what the program takes from what it does not", async () => {
  const cases: Array<[line: string, whole: boolean, taken: boolean, reason: string]> = [
    ["wps status permit-001", true, true, "a whole command"],
    ["wps status", true, false, "its argument is missing"],
    ["wps status", false, true, "a sentence may leave it out"],
    ["wps statsu permit-001", false, false, "no such command"],
    ["wps jobs halt 41", false, false, "no such command below jobs"],
    ["wps jobs list --stat failed", false, false, "no such option"],
    ["wps jobs list --state asleep", true, false, "no such state"],
    ["wps jobs show ID --follow", true, true, "a number's stand-in"],
    ["wps jobs show --help", true, true, "help asks for no argument"],
    ["cat e.json | wps events send - && true # wps nonsense", true, true, "within a pipe, before a comment"],
  ];
  for (const [line, whole, taken, reason] of cases) {
    const [words = []] = wpsCalls(line);
    assert.equal(await refusal(words, whole) === null, taken, reason);
  }
});

Deno.test("documents: each task, path and configuration key that they name exists", () => {
  const { tasks } = JSON.parse(readRepository("deno.json"));
  const wrong: string[] = [];
  for (const { path, blocks, spans } of DOCUMENTS) {
    const code = [
      ...spans.map((span) => ({ text: span.code, line: span.line, isSpan: true })),
      ...blocks.flatMap((block) => typed(block).map((text) => ({ text, line: block.line, isSpan: false }))),
    ];
    for (const { text, line, isSpan } of code) {
      for (const [, task = ""] of text.matchAll(/\bdeno(?:@[\d.]+)? task ([\w-]+)/g)) {
        if (!Object.hasOwn(tasks, task)) wrong.push(`${path}:${line}: there is no task ${task}`);
      }
      const isPath = !/\bNAME\b/.test(text) &&
        /^(src|tests|docs|deploy|phases|migrations|bench|\.ci)\/[\w./-]*$|^main\.ts$/.test(text);
      if (isSpan && isPath && !exists(text)) wrong.push(`${path}:${line}: there is no ${text}`);
      if (isSpan && isKey(text) && !hasKey(text)) wrong.push(`${path}:${line}: there is no key ${text}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** The names of the self-check's lines, as its sources write them. */
const CHECKS = listRepository("src/drivers/kubernetes/check").flatMap((path) =>
  [...readRepository(path).matchAll(/(?:const check = |check: |guarded\(|failed\()"([a-z ]+)"/g)]
    .map(([, name = ""]) => name)
).filter((name) => name !== "storage");

const SCHEMA = configJsonSchema();
/** "runner.waits": a path of at least two words that begins with a section, and is no file or host. */
function isKey(text: string): boolean {
  const [section = "", ...rest] = text.split(".");
  return /^[a-zA-Z]+(\.[a-zA-Z]+)+$/.test(text) && rest.length > 0 &&
    Object.hasOwn(SCHEMA.properties ?? {}, section) && !/\.(ts|yaml|db|md)$/.test(text);
}

function hasKey(text: string): boolean {
  const step = (schema: JsonSchema | null, name: string): JsonSchema | null =>
    schema?.properties?.[name] ??
      (typeof schema?.additionalProperties === "object" ? schema.additionalProperties : null);
  return text.split(".").reduce<JsonSchema | null>(step, SCHEMA) !== null;
}

Deno.test("documents: each link leads somewhere", () => {
  const wrong: string[] = [];
  const changelog = readMarkdown("CHANGELOG.md", readRepository("CHANGELOG.md"));
  for (const { path, links } of [...ALL, changelog]) {
    for (const { target, line } of links.filter((link) => !/^https?:/.test(link.target))) {
      const [file = "", anchor] = target.split("#");
      const resolved = file === "" ? path : new URL(file, `file:///${path}`).pathname.slice(1);
      if (!exists(resolved)) wrong.push(`${path}:${line}: there is no ${resolved}`);
      else if (
        anchor !== undefined && !readMarkdown(resolved, readRepository(resolved)).anchors.has(anchor)
      ) {
        wrong.push(`${path}:${line}: ${resolved} has no heading #${anchor}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("docs/README.md: leads to every document", () => {
  const targets = named("docs/README.md").links.map(({ target }) => `docs/${target}`);
  for (const { path } of ALL.filter(({ path }) => /^docs\/(?!README)/.test(path))) {
    assert.ok(targets.includes(path), path);
  }
});

/** A message as a block's tags say it travels. */
function messageOf({ tags, text }: Pick<Block, "tags" | "text">): RawMessage {
  const tag = (name: string): string | null =>
    tags.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
  return rawMessage(text, {
    routingKey: tag("routing-key"),
    messageId: tag("message-id"),
    contentType: tag("content-type") ?? "application/json",
  });
}

Deno.test("documents: each event that they show is taken by the intake", async () => {
  const phases = await loadBuiltIn();
  const wrong: string[] = [];
  const take = (place: string, raw: RawMessage): void => {
    const parsed = parseMessage(raw, (type) => effectOf(type, phases));
    const status = parsed.kind === "event" ? parsed.event.update.status : undefined;
    if (parsed.kind === "rejected") wrong.push(`${place}: ${JSON.stringify(parsed.errors)}`);
    else if (effectOf(parsed.event.type, phases) === null) wrong.push(`${place}: not an event of ours`);
    else if (status !== undefined && !phases.statuses.has(status)) {
      wrong.push(`${place}: no status ${status}`);
    }
  };
  const events = blocksOf("event");
  for (const [place, block] of events) take(place, messageOf(block));
  let shell = 0;
  for (const { path, blocks } of DOCUMENTS) {
    for (const block of blocks) {
      for (const words of typed(block).map(shellWords)) {
        const body = words.find((word) => word.startsWith("{ "));
        if (body === undefined) continue;
        shell++;
        const key = words.find((word) => word.startsWith("--routing-key="))?.split("=")[1];
        take(`${path}:${block.line}`, messageOf({ text: body, tags: key ? [`routing-key=${key}`] : [] }));
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(events.length >= 5 && shell >= 3, `${events.length} blocks, ${shell} in commands`);
  for (const path of ["README.md", "docs/events.md"]) {
    for (const { language, tags, line } of named(path).blocks) {
      assert.ok(language !== "json" || tags[0] === "event", `${path}:${line}: is this JSON an event?`);
      assert.ok(
        language !== "yaml" || tags[0] === "config",
        `${path}:${line}: is this YAML a configuration?`,
      );
    }
  }
});

Deno.test("documents: each configuration that they show starts a service", async () => {
  const configs = blocksOf("config");
  assert.ok(configs.length >= 2);
  for (const [place, { text }] of configs) {
    const files = memoryFiles({
      "/etc/wps/wps.yaml": text,
      "/etc/wps/secrets/broker-url": "amqps://wps:pw@broker/spe\n",
      "/etc/wps/kubeconfig": "apiVersion: v1",
    });
    const { config, problems } = await loadConfig({ path: null, environment: {}, files });
    assert.ok(config !== null, `${place}\n${problems.map(problemLine).join("\n")}`);
  }
});

Deno.test("docs/kubernetes.md: names each setting and check; its kubeconfig is one that WPS reads", async () => {
  const kubernetes = named("docs/kubernetes.md");
  const codes = new Set(kubernetes.spans.map(({ code }) => code));
  const settings = SCHEMA.properties?.["drivers"]?.properties?.["kubernetes"]?.properties ?? {};
  for (const key of Object.keys(settings)) assert.ok(codes.has(key), key);
  assert.ok(CHECKS.length >= 8, CHECKS.join());
  for (const check of CHECKS) assert.ok(codes.has(check), check);
  const [example] = kubernetes.blocks.filter(({ tags }) => tags.includes("kubeconfig"));
  const read = (path: string): Promise<string> =>
    Promise.resolve(path === "/etc/wps/kubeconfig" ? example?.text ?? "" : "PEM");
  const access = await readKubeconfig("/etc/wps/kubeconfig", undefined, read);
  assert.deepEqual([access.server, access.caPem, access.tokenFile], [
    "https://10.20.0.2:6443",
    "PEM",
    "/etc/wps/token",
  ]);
});

Deno.test("README.md: its layout names what is there, all of it", () => {
  const layout = named("README.md").blocks.find(({ text }) => text.startsWith("main.ts"));
  const paths = (layout?.text ?? "").trimEnd().split("\n").map((line) => line.split(" ")[0] ?? "");
  for (const path of paths) assert.ok(exists(path), path);
  const folders = [...Deno.readDirSync(new URL("../../src", import.meta.url))];
  for (const { name, isDirectory } of folders) {
    const told = name === "app" ? "src/app.ts" : `src/${name}/`;
    assert.ok(!isDirectory || paths.includes(told), told);
  }
});

Deno.test("docs/reliability.md: what shows a claim is a task, or a file that holds tests", () => {
  const { tasks } = JSON.parse(readRepository("deno.json"));
  const [, section = ""] = readRepository("docs/reliability.md").split("\n## What shows it\n");
  const rows = (section.split("\n## ")[0] ?? "").split("\n").filter((line) => /^\| (?!claim|-)/.test(line));
  assert.ok(rows.length >= 20, `${rows.length} rows`);
  const claims = rows.map((row) => row.split(" | ")[0]);
  assert.equal(new Set(claims).size, claims.length, "one row per claim");
  for (const row of rows) {
    const proofs = [...(row.split(" | ").at(-1) ?? "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
    assert.ok(proofs.length > 0, row);
    for (const proof of proofs) {
      const task = /^deno task (\w+)$/.exec(proof)?.[1];
      if (task !== undefined) assert.ok(Object.hasOwn(tasks, task), proof);
      else assert.match(readRepository(proof), /Deno\.test\(/, `${proof} holds no test`);
    }
  }
});

Deno.test("docs/operate.md: draws every state of a job", () => {
  const drawing = named("docs/operate.md").blocks.find(({ text }) => text.includes("superseded"));
  for (const state of JOB_STATES) assert.ok(drawing?.text.includes(state), state);
});

Deno.test("docs/operate.md, docs/events.md: tell of each reason, type, verdict and bound", () => {
  const codes = (path: string): Set<string> => new Set(named(path).spans.map(({ code }) => code));
  const cases: Array<[path: string, words: readonly string[]]> = [
    ["docs/operate.md", REASONS],
    ["docs/events.md", EVENT_TYPES],
    ["docs/events.md", VERDICTS],
  ];
  for (const [path, words] of cases) {
    for (const word of words) assert.ok(codes(path).has(word), `${path}: ${word}`);
  }
  const events = readRepository("docs/events.md");
  const row = (name: string): string =>
    events.split("\n").find((line) => line.startsWith(`| \`${name}\``)) ?? "";
  assert.match(
    row("dataHolders"),
    new RegExp(`up to ${HOLDERS_MAX}:.*\\(up to ${CIDRS_MAX}\\).*\\(up to ${KEYS_MAX}\\)`),
  );
  assert.match(row("researchers"), new RegExp(`at most ${MEMBERS_MAX}\\b`));
});

Deno.test("CHANGELOG.md: has this version", () => {
  const { version } = JSON.parse(readRepository("deno.json"));
  assert.match(
    readRepository("CHANGELOG.md"),
    new RegExp(`^## \\[?(Unreleased|${version.replaceAll(".", "\\.")})\\b`, "m"),
  );
});
