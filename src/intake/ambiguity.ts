/** What a message gives more than once: which of them counts is not said, so none of them does. */
import type { FieldError } from "../core/event.ts";
import { type Envelope, readable } from "./envelope.ts";
import { REASONS_MAX } from "./fields.ts";

/** What says whom a message means, and when. */
const HEAD_FIELDS: readonly string[] = ["id", "source", "type", "time", "permitId", "revision"];
/** The same of a CloudEvent, whose data may say it, too. */
const CLOUD_HEAD_FIELDS: readonly string[] = [
  ...HEAD_FIELDS,
  ...["specversion", "subject", "permitid", "data", "data_base64", "datacontenttype"],
  ...["data.permitId", "data.revision", "data.time"],
];

/** What is given twice, of all the message or of what says whom it means; a bounded number of reasons. */
export function ambiguities({ repeated, payloadPath }: Envelope, all: boolean): FieldError[] {
  const head = payloadPath === "" ? HEAD_FIELDS : CLOUD_HEAD_FIELDS;
  const found = all ? repeated : repeated.filter((path) => head.includes(path));
  const more = found.length - REASONS_MAX;
  return [
    ...found.slice(0, REASONS_MAX).map((path) => ({
      path,
      message: "is given more than once; which of them counts is not said",
    })),
    ...(more > 0 ? [{ path: "body", message: `${more} more fields are given more than once` }] : []),
  ];
}

/** Where a CloudEvent may name its permit. */
const PERMIT_FIELDS: readonly string[] = ["permitid", "subject", "data", "data_base64", "data.permitId"];

/** What can be read and was given once: an event is listed under no permit that it may not mean. */
export function certain(envelope: Envelope): ReturnType<typeof readable> {
  const read = readable(envelope);
  const is = (...names: string[]): boolean => names.some((name) => envelope.repeated.includes(name));
  return {
    id: is("id") ? null : read.id,
    source: is("source") ? null : read.source,
    type: is("type") ? null : read.type,
    permitId: is(...envelope.payloadPath === "" ? ["permitId"] : PERMIT_FIELDS) ? null : read.permitId,
  };
}
