/**
 * Makes `schema.jsonl` and `recordings.jsonl` from what they come from; README.md beside it says where that is from.
 * `deno run -A tests/proxmox/recorded/compact.ts APIDOC.json RECORDINGS.json`
 */
import { z } from "zod";

/** What is modelled at least in part. Of everything else the path and its methods are kept: known, but not modelled. */
const MODELLED = [
  "/access",
  "/cluster/firewall",
  "/cluster/mapping/dir",
  "/cluster/nextid",
  "/cluster/resources",
  "/cluster/status",
  "/nodes/{node}/network",
  "/nodes/{node}/qemu",
  "/nodes/{node}/status",
  "/nodes/{node}/storage",
  "/nodes/{node}/tasks",
  "/nodes/{node}/time",
  "/nodes/{node}/version",
  "/pools",
  "/storage",
  "/version",
];

/** Of a parameter's schema, what decides whether a request is right. */
const KEPT = new Set([
  "alias",
  "default_key",
  "enum",
  "format",
  "items",
  "keyAlias",
  "maxLength",
  "maximum",
  "minLength",
  "minimum",
  "optional",
  "pattern",
  "requires",
  "type",
]);

/** Numbers that are texts here and there, and booleans that are anything which Perl takes for one. */
const NUMBERS = new Set(["default_key", "maxLength", "maximum", "minLength", "minimum", "optional"]);

const record = z.record(z.string(), z.unknown());
const method = z.object({
  parameters: z.object({ properties: record.optional() }),
  permissions: record.optional(),
  proxyto: z.string().nullish(),
  protected: z.number().optional(),
  allowtoken: z.number(),
});
interface PathNode {
  path: string;
  info?: Record<string, z.infer<typeof method>>;
  children?: PathNode[];
}
const pathNode: z.ZodType<PathNode> = z.lazy(() =>
  z.object({
    path: z.string(),
    info: z.record(z.string(), method).optional(),
    children: z.array(pathNode).optional(),
  })
);

function compactProperty(property: unknown): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record.parse(property))) {
    if (!KEPT.has(key) || value === null) continue;
    if (key === "format" && typeof value !== "string") kept[key] = compactProperties(value);
    else if (key === "items") kept[key] = compactProperty(value);
    else kept[key] = NUMBERS.has(key) ? Number(value) : value;
  }
  return kept;
}

function compactProperties(properties: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record.parse(properties)).map(([name, property]) => [name, compactProperty(property)]),
  );
}

function* schemaLines(nodes: PathNode[]): Generator<string> {
  for (const node of nodes) {
    const isModelled = MODELLED.some((path) => node.path === path || node.path.startsWith(`${path}/`));
    for (const [name, info] of Object.entries(node.info ?? {})) {
      const { description: _, ...permissions } = info.permissions ?? {};
      yield JSON.stringify({
        path: node.path,
        method: name,
        ...isModelled && { parameters: compactProperties(info.parameters.properties ?? {}) },
        ...info.permissions !== undefined && { permissions },
        ...typeof info.proxyto === "string" && { proxyto: info.proxyto },
        ...info.protected === 1 && { protected: 1 },
        ...info.allowtoken === 0 && { allowtoken: 0 },
      });
    }
    yield* schemaLines(node.children ?? []);
  }
}

const flow = z.object({ flow: z.string(), exchanges: z.array(record) }).loose();
const JSON_TYPE = "application/json;charset=UTF-8";

/** A flow's heading, then a line for each exchange without what is so for nearly all of them. */
function* recordingLines(flows: z.infer<typeof flow>[]): Generator<string> {
  for (const { exchanges, ...heading } of flows) {
    if (heading.flow === "_legend") continue;
    yield JSON.stringify(heading);
    for (const { status, reason, contentType, body, ...exchange } of exchanges) {
      yield JSON.stringify({
        ...exchange,
        ...body !== null && { body },
        ...status !== 200 && { status },
        ...reason !== "OK" && { reason },
        ...contentType !== JSON_TYPE && { contentType },
      });
    }
  }
}

const [apidoc, recordings] = Deno.args;
if (apidoc === undefined || recordings === undefined) {
  console.error("Give the paths of apidoc.json and recordings.json");
  Deno.exit(2);
}
const here = new URL(".", import.meta.url);
const read = (path: string): unknown => JSON.parse(Deno.readTextFileSync(path));
const write = (name: string, lines: Iterable<string>): void =>
  Deno.writeTextFileSync(new URL(name, here), `${[...lines].join("\n")}\n`);
write("schema.jsonl", schemaLines(z.array(pathNode).parse(read(apidoc))));
write("recordings.jsonl", recordingLines(z.array(flow).parse(read(recordings))));
