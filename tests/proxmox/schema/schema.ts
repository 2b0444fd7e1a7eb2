/** The API's schema: which methods there are, what each takes, who may call it. */
import { z } from "zod";

/** Of one parameter, or of one key of a property string. Numbers 0 and 1 stand for booleans, as in the original. */
export interface Property {
  type?: string | undefined;
  optional?: number | undefined;
  enum?: string[] | undefined;
  minimum?: number | undefined;
  maximum?: number | undefined;
  minLength?: number | undefined;
  maxLength?: number | undefined;
  /** A Perl expression that has to match the whole value. */
  pattern?: string | undefined;
  /** A name whose check lives in the server, or the keys of a property string. */
  format?: string | Properties | undefined;
  /** Another parameter that has to be given with this one. */
  requires?: string | undefined;
  /** In a property string: this key is another name of that one … */
  alias?: string | undefined;
  /** … and its own name is the value of that key (`virtio=MAC` is `model=virtio,macaddr=MAC`). */
  keyAlias?: string | undefined;
  /** In a property string: the key whose name may be left out. */
  default_key?: number | undefined;
  items?: Property | undefined;
}

/** Parameters or keys by name. A name like `net[n]` stands for `net0`, `net1`, … */
export type Properties = Record<string, Property>;

/** An expression of who may call a method: a list that starts with an operator, arguments and further lists. */
export type Check = Array<string | number | Check>;

/** One method of one path. */
export interface ApiMethod {
  /** A template, like `/nodes/{node}/qemu/{vmid}`. */
  path: string;
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Absent where the double models nothing of the path. */
  parameters?: Properties | undefined;
  permissions?: { user?: "all" | "world" | undefined; check?: Check | undefined } | undefined;
  /** Answered by the node that this parameter names. */
  proxyto?: string | undefined;
  /** Answered by the privileged daemon, pvedaemon. */
  protected?: number | undefined;
  /** 0: not for API tokens. */
  allowtoken?: number | undefined;
}

const zeroOrOne = z.union([z.literal(0), z.literal(1)]);
const property: z.ZodType<Property> = z.lazy(() =>
  z.strictObject({
    type: z.string().optional(),
    optional: zeroOrOne.optional(),
    enum: z.array(z.string()).optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
    pattern: z.string().optional(),
    format: z.union([z.string(), z.record(z.string(), property)]).optional(),
    requires: z.string().optional(),
    alias: z.string().optional(),
    keyAlias: z.string().optional(),
    default_key: zeroOrOne.optional(),
    items: property.optional(),
  })
);
const check: z.ZodType<Check> = z.lazy(() => z.array(z.union([z.string(), z.number(), check])));
const apiMethod: z.ZodType<ApiMethod> = z.strictObject({
  path: z.string(),
  method: z.enum(["GET", "POST", "PUT", "DELETE"]),
  parameters: z.record(z.string(), property).optional(),
  permissions: z.object({ user: z.enum(["all", "world"]).optional(), check: check.optional() }).optional(),
  proxyto: z.string().optional(),
  protected: zeroOrOne.optional(),
  allowtoken: zeroOrOne.optional(),
});

/** All methods of the recorded version, read from `recorded/schema.jsonl`. Throws when the file is not as it should be. */
export function loadSchema(): ApiMethod[] {
  const text = Deno.readTextFileSync(new URL("../recorded/schema.jsonl", import.meta.url));
  return text.trimEnd().split("\n").map((line) => apiMethod.parse(JSON.parse(line)));
}

/** One past the highest index of each numbered parameter; qemu-server has them as constants, the schema does not. */
const INDEX_LIMITS = new Map([
  ["hostpci", 16],
  ["ide", 4],
  ["ipconfig", 32],
  ["net", 32],
  ["numa", 8],
  ["parallel", 3],
  ["sata", 6],
  ["scsi", 31],
  ["serial", 4],
  ["unused", 256],
  ["usb", 14],
  ["virtio", 16],
  ["virtiofs", 10],
]);

/** The property of a parameter, numbered ones included; undefined when the schema does not define it. */
export function propertyOf(properties: Properties, name: string): Property | undefined {
  if (name.includes("[")) return undefined;
  const exact = Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (exact !== undefined) return exact;
  const numbered = /^(.*?)(0|[1-9]\d*)$/.exec(name);
  if (numbered === null) return undefined;
  const [, base = "", index = ""] = numbered;
  return Number(index) < (INDEX_LIMITS.get(base) ?? 0) ? properties[`${base}[n]`] : undefined;
}
