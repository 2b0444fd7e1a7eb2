import assert from "node:assert/strict";
import { ApiError } from "../wire/errors.ts";
import { checkParameter } from "./check.ts";
import { printPropertyString, readPropertyString } from "./property_string.ts";
import { type ApiMethod, loadSchema, type Property, propertyOf } from "./schema.ts";
import { validate } from "./validate.ts";

const schema = loadSchema();

function methodOf(name: string): ApiMethod {
  const found = schema.find(({ path, method }) => `${method} ${path}` === name);
  if (found === undefined) throw new Error(`The schema has no ${name}`);
  return found;
}

function errorsOf(name: string, parameters: Record<string, unknown>): Record<string, string> {
  try {
    validate(methodOf(name), new Map(Object.entries(parameters)));
    return {};
  } catch (error) {
    if (error instanceof ApiError && error.errors !== undefined) return error.errors;
    throw error;
  }
}

Deno.test("checkParameter: types, lengths and ranges that no recording shows", () => {
  const cases: Array<[Property, unknown, string | undefined, string]> = [
    [{ type: "integer" }, "-3", undefined, "a sign"],
    [{ type: "integer" }, "3.0", "type check ('integer') failed - got '3.0'", "a fraction"],
    [{ type: "integer" }, 3, undefined, "a JSON number"],
    [{ type: "number" }, "1.5", undefined, "a fraction"],
    [{ type: "number" }, "1e3", "type check ('number') failed - got '1e3'", "an exponent"],
    [{ type: "boolean" }, true, undefined, "JSON's own"],
    [{ type: "boolean" }, 2, "type check ('boolean') failed - got '2'", "a JSON number that is none"],
    [{ minLength: 5 }, "four", "value must be at least 5 characters long", "too short"],
    [{ maximum: 4, type: "integer" }, "5", "value must have a maximum value of 4", "too much"],
    [{ type: "string" }, ["a"], "type check ('string') failed - got ARRAY", "a list for a text"],
    [{ format: "pve-tag-list" }, ["a", "b"], undefined, "a list for a list"],
    [{ format: "pve-tag-list" }, ["a", "!"], "invalid format - invalid characters in tag\n", "a bad element"],
    [
      { type: "array", items: { type: "integer" } },
      ["1", "x"],
      "type check ('integer') failed - got 'x'",
      "an item",
    ],
    [{ pattern: "[A-Za-z]{,8}" }, "abcdefgh", undefined, "Perl's open range"],
    [{ pattern: "[A-Za-z]{,8}" }, "abcdefghi", "value does not match the regex pattern", "beyond it"],
    [{ format: "no-such-format" }, "anything", undefined, "a check that the double does not know"],
    [
      { format: "pve-qm-ipconfig" },
      "ip6=fd00::2/64,gw6=fd00::1",
      undefined,
      "the keys of a named property string",
    ],
    [
      { format: { mode: { type: "string", enum: ["a"] } } },
      "b",
      "invalid format - value without key, but schema does not define a default key\n",
      "no key, and none by default",
    ],
  ];
  for (const [property, value, expected, reason] of cases) {
    assert.equal(checkParameter(property, "x", value), expected, reason);
  }
});

Deno.test("validate: parameters that need each other, missing ones, and null", () => {
  const clone = "POST /nodes/{node}/qemu/{vmid}/clone";
  const upload = "POST /nodes/{node}/storage/{storage}/upload";
  const config = "PUT /nodes/{node}/qemu/{vmid}/config";
  const vm = { node: "pve1", vmid: "100" };
  const file = { node: "pve1", storage: "local", content: "iso", filename: "a.iso" };
  const missing = "property is missing and it is not optional";
  const cases: Array<[string, Record<string, unknown>, Record<string, string>, string]> = [
    [clone, { ...vm, newid: "101" }, {}, "all that is needed"],
    [clone, { ...vm, newid: null }, { newid: missing }, "null is not there"],
    [clone, vm, { newid: missing }, "nothing is not there"],
    [config, { ...vm, cores: null }, {}, "where nothing is needed, null is for the call to mind"],
    [config, { ...vm, force: "1" }, { delete: "missing property required by 'force'" }, "force needs delete"],
    [
      upload,
      { ...file, checksum: "00" },
      { "checksum-algorithm": "missing property required by 'checksum'" },
      "a checksum needs its algorithm",
    ],
    [
      config,
      { ...vm, net32: "virtio" },
      { net32: "property is not defined in schema and the schema does not allow additional properties" },
      "net31 is the last one",
    ],
    [
      config,
      { ...vm, net0: "bridge=vmbr0" },
      { net0: `invalid format - format error\nnet0.model: ${missing}\n` },
      "a NIC needs a model",
    ],
  ];
  for (const [method, parameters, expected, reason] of cases) {
    assert.deepEqual(errorsOf(method, parameters), expected, reason);
  }
});

Deno.test("propertyOf: numbered names within their limits only", () => {
  const properties = methodOf("PUT /nodes/{node}/qemu/{vmid}/config").parameters ?? {};
  const cases: Array<[string, boolean]> = [
    ["scsi30", true],
    ["scsi31", false],
    ["scsi01", false],
    ["scsi", false],
    ["scsi[n]", false],
    ["virtiofs9", true],
    ["virtiofs10", false],
    ["constructor", false],
  ];
  for (const [name, exists] of cases) {
    assert.equal(propertyOf(properties, name) !== undefined, exists, name);
  }
});

Deno.test("printPropertyString: what was read, in the server's order", () => {
  const properties = methodOf("PUT /nodes/{node}/qemu/{vmid}/config").parameters ?? {};
  const cases: Array<[string, string, string]> = [
    [
      "net0",
      "firewall=1,bridge=vmbr0,virtio=BC:24:11:00:00:01",
      "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
    ],
    ["net0", "model=e1000,bridge=vmbr0", "e1000,bridge=vmbr0"],
    ["scsi0", "ro=1,file=vmstore:1,backup=0", "vmstore:1,backup=0,ro=1"],
    ["scsi0", "vmstore:1", "vmstore:1"],
    ["virtiofs0", "cache=never,dirid=project", "project,cache=never"],
  ];
  for (const [name, text, expected] of cases) {
    const format = propertyOf(properties, name)?.format;
    if (typeof format !== "object") throw new Error(`${name} is no property string`);
    const { keys, unknown } = readPropertyString(text, format);
    assert.deepEqual(unknown, [], text);
    assert.equal(printPropertyString(keys, format), expected, text);
  }
});
