/** What the server answers, with or without a socket. */
import { ApiError } from "./errors.ts";

/** An answer as it is on the wire. */
export interface ApiReply {
  status: number;
  /** The status line says what the body says, which is all that an empty body leaves. */
  reason: string;
  contentType: string | null;
  body: string;
}

const JSON_TYPE = "application/json;charset=UTF-8";

/** What a call returns when the answer has a `total` beside its `data`. */
export class Listed {
  readonly data: unknown;
  readonly total: number;

  constructor(data: unknown, total: number) {
    this.data = data;
    this.total = total;
  }
}

/** The answer to a call that succeeded; a total of 0 is left out, as the server does. */
export function successReply(result: unknown): ApiReply {
  const body = result instanceof Listed
    ? { data: result.data, ...result.total > 0 && { total: result.total } }
    : { data: result ?? null };
  return { status: 200, reason: "OK", contentType: JSON_TYPE, body: JSON.stringify(body) };
}

/** The answer to a call that was refused or failed. */
export function errorReply({ status, message, errors, body }: ApiError): ApiReply {
  const reason = message.replaceAll("\n", " ").trim();
  if (body !== "json") return { status, reason, contentType: null, body: body === "text" ? message : "" };
  const text = status === 501 ? message : `${message}\n`;
  const content = { data: null, ...errors !== undefined && { errors }, message: text };
  return { status, reason, contentType: JSON_TYPE, body: JSON.stringify(content) };
}
