/** Checks the parameters of a request against the schema of its method. */
import { parameterError } from "../wire/errors.ts";
import { checkParameter, MISSING_PROPERTY, textOf, UNDEFINED_PROPERTY } from "./check.ts";
import { type ApiMethod, type Properties, propertyOf } from "./schema.ts";
import { type Value, Values } from "./values.ts";

/** Parameters as they came, from path, query and body; a JSON body may hold anything. */
export type RawParameters = ReadonlyMap<string, unknown>;

/** The parameters of a path itself, which a method without a kept schema has, too. */
function pathProperties(path: string): Properties {
  return Object.fromEntries(
    [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, { type: "string" }]),
  );
}

/**
 * The parameters as the calls read them. Throws the server's 400 with a reason per parameter: not known, missing, of
 * the wrong type or format, out of range, or without another one that it needs.
 */
export function validate(method: ApiMethod, raw: RawParameters): Values {
  const properties = method.parameters ?? pathProperties(method.path);
  const errors: Record<string, string> = {};
  const values = new Map<string, Value>();
  for (const [name, value] of raw) {
    const property = propertyOf(properties, name);
    const complaint = property === undefined ? UNDEFINED_PROPERTY : checkParameter(property, name, value);
    if (complaint !== undefined) errors[name] = complaint;
    else values.set(name, valueOf(value));
    const required = property?.requires;
    if (required !== undefined && !raw.has(required)) {
      errors[required] = `missing property required by '${name}'`;
    }
  }
  for (const [name, property] of Object.entries(properties)) {
    const isGiven = raw.has(name) && raw.get(name) !== null;
    if (property.optional !== 1 && !isGiven && errors[name] === undefined) errors[name] = MISSING_PROPERTY;
  }
  if (Object.keys(errors).length > 0) throw parameterError(errors);
  return new Values(values);
}

function valueOf(value: unknown): Value {
  if (value === null) return null;
  return Array.isArray(value) ? value.map(textOf) : textOf(value);
}
