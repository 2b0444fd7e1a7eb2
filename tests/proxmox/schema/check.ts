/** Checks one value against its property, in the server's order and words. */
import { checkFormat, keysOfFormat } from "./formats.ts";
import { readPropertyString } from "./property_string.ts";
import type { Properties, Property } from "./schema.ts";

const TYPES = new Map([
  ["boolean", /^[01]$/],
  ["integer", /^[+-]?\d+$/],
  ["number", /^[+-]?\d+(?:\.\d+)?$/],
]);

/** Told of a parameter, or a key of a property string, that is not known … */
export const UNDEFINED_PROPERTY =
  "property is not defined in schema and the schema does not allow additional properties";
/** … and of one that is not there. */
export const MISSING_PROPERTY = "property is missing and it is not optional";

/** Inside a property string the server takes booleans in words (`agent=enabled=true`), as a parameter it does not. */
const WORDS = new Map([["true", "1"], ["on", "1"], ["yes", "1"], ["false", "0"], ["off", "0"], ["no", "0"]]);

/** What a parameter is told, or undefined when it is right. A JSON body may have sent anything. */
export function checkParameter(property: Property, name: string, value: unknown): string | undefined {
  if (value === null) return undefined;
  if (Array.isArray(value)) return checkArray(property, name, value);
  if (typeof value === "object") return typeComplaint(property, "HASH");
  return checkValue(property, name, textOf(value));
}

/** A value of a form or a JSON body as the server sees it: true is 1. */
export function textOf(value: unknown): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  return `${value}`;
}

function checkArray(property: Property, name: string, values: unknown[]): string | undefined {
  const isList = typeof property.format === "string" && property.format.endsWith("-list");
  if (property.type !== "array" && !isList) return typeComplaint(property, "ARRAY");
  const item = isList ? property : property.items ?? {};
  for (const value of values) {
    const complaint = checkParameter(item, name, value);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function typeComplaint({ type = "string" }: Property, got: string): string {
  return `type check ('${type}') failed - got ${got}`;
}

function checkValue(property: Property, name: string, value: string): string | undefined {
  if (TYPES.get(property.type ?? "string")?.test(value) === false) {
    return typeComplaint(property, `'${value}'`);
  }
  return checkFormatOf(property, name, value) ?? checkText(property, value) ?? checkRange(property, value);
}

function checkFormatOf({ format }: Property, name: string, value: string): string | undefined {
  if (format === undefined) return undefined;
  const keys = typeof format === "string" ? keysOfFormat(format) : format;
  if (keys !== undefined) {
    const complaint = checkKeys(keys, name, value);
    return complaint === undefined ? undefined : `invalid format - ${complaint}\n`;
  }
  const complaint = typeof format === "string" ? checkFormat(format, value) : undefined;
  return complaint === undefined ? undefined : `invalid format - ${complaint}\n`;
}

function checkKeys(format: Properties, path: string, value: string): string | undefined {
  const { keys, unknown, isKeyless } = readPropertyString(value, format);
  if (isKeyless) return "value without key, but schema does not define a default key";
  const lines = unknown.map((key) => `${path}.${key}: ${UNDEFINED_PROPERTY}`);
  for (const [key, property] of Object.entries(format)) {
    if (property.alias !== undefined) continue;
    const given = keys.get(key);
    if (given === undefined) {
      if (property.optional !== 1) lines.push(`${path}.${key}: ${MISSING_PROPERTY}`);
      continue;
    }
    const inner = property.type === "boolean" ? WORDS.get(given.toLowerCase()) ?? given : given;
    const complaint = checkValue(property, `${path}.${key}`, inner);
    if (complaint !== undefined) lines.push(`${path}.${key}: ${complaint}`);
    if (property.requires !== undefined && !keys.has(property.requires)) {
      lines.push(`${path}.${property.requires}: missing property required by '${path}.${key}'`);
    }
  }
  return lines.length === 0 ? undefined : `format error\n${lines.join("\n")}`;
}

function checkText(property: Property, value: string): string | undefined {
  const { pattern, minLength, maxLength } = property;
  if (maxLength !== undefined && value.length > maxLength) {
    return `value may only be ${maxLength} characters long`;
  }
  if (minLength !== undefined && value.length < minLength) {
    return `value must be at least ${minLength} characters long`;
  }
  if (pattern !== undefined && !new RegExp(`^(?:${javascriptPattern(pattern)})$`).test(value)) {
    return "value does not match the regex pattern";
  }
  if (property.enum !== undefined && !property.enum.includes(value)) {
    return `value '${value}' does not have a value in the enumeration '${property.enum.join(", ")}'`;
  }
  return undefined;
}

/** Perl's `{,8}` and the `(?^:…)` that it prints are unknown to JavaScript. */
function javascriptPattern(pattern: string): string {
  return pattern.replaceAll("(?^:", "(?:").replaceAll("{,", "{0,");
}

function checkRange({ type, minimum, maximum }: Property, value: string): string | undefined {
  if (type !== "integer" && type !== "number") return undefined;
  if (minimum !== undefined && Number(value) < minimum) {
    return `value must have a minimum value of ${minimum}`;
  }
  if (maximum !== undefined && Number(value) > maximum) {
    return `value must have a maximum value of ${maximum}`;
  }
  return undefined;
}
