/** Members of an event that WPS does not know: they are passed over, because the Permit Manager evolves, and told. */
import { NO_UNKNOWN_FIELDS, type UnknownFields } from "../core/event.ts";
import type { Envelope } from "./envelope.ts";
import { HOLDER_FIELDS, PERSON_FIELDS, UPDATE_FIELDS } from "./fields.ts";
import { isObject, member } from "./json.ts";
import { shortName } from "./text.ts";

/** So many are named, the others are counted: a typo is found among them, and a row stays small. */
const NAMED_MAX = 20;

/** Beside the fields of an update. */
const PAYLOAD_FIELDS: readonly string[] = ["id", "source", "type", "time", "permitId", "revision", "data"];

const LISTS = [["dataHolders", HOLDER_FIELDS], ["researchers", PERSON_FIELDS]] as const;
const PEOPLE = ["preprocessor", "reviewer", "setupReviewer"] as const;

/** A CloudEvent's extension attributes are none of them: the standard lets everybody add some on the way. */
export function unknownFields({ payload, payloadPath }: Envelope): UnknownFields {
  if (!isObject(payload)) return NO_UNKNOWN_FIELDS;
  const data = member(payload, "data");
  const found: UnknownFields = { paths: [], count: 0 };
  look(payload, [...PAYLOAD_FIELDS, ...UPDATE_FIELDS], payloadPath, found);
  lookAtPeople(payload, payloadPath, found);
  if (isObject(data)) {
    look(data, UPDATE_FIELDS, `${payloadPath}data.`, found);
    lookAtPeople(data, `${payloadPath}data.`, found);
  }
  return found;
}

function lookAtPeople(fields: Record<string, unknown>, prefix: string, found: UnknownFields): void {
  for (const name of PEOPLE) look(member(fields, name), PERSON_FIELDS, `${prefix}${name}.`, found);
  for (const [name, known] of LISTS) {
    const list = member(fields, name);
    if (!Array.isArray(list)) continue;
    for (const [index, item] of list.entries()) look(item, known, `${prefix}${name}[${index}].`, found);
  }
}

function look(value: unknown, known: readonly string[], prefix: string, found: UnknownFields): void {
  if (!isObject(value)) return;
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    if (found.count++ < NAMED_MAX) found.paths.push(`${prefix}${shortName(name)}`);
  }
}
