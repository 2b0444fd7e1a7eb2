/** RFC 7578 as far as the upload call uses it. */
import { ApiError } from "./errors.ts";

/** A field, or with a file name a file. */
export interface Part {
  name: string;
  filename: string | undefined;
  bytes: Uint8Array;
}

/** More parts than the upload call has parameters are no upload. */
const PARTS_MAX = 16;

/** The parts of a body. Throws a 501 when it is not what its content type says. */
export function readMultipart(contentType: string, body: Uint8Array): Part[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) throw malformed();
  // One character per byte, so that places in the text are places in the body.
  const text = new TextDecoder("latin1").decode(body);
  const mark = `--${boundary}`;
  const parts: Part[] = [];
  for (let at = text.indexOf(mark);;) {
    const begin = at + mark.length;
    if (at < 0) throw malformed();
    if (text.startsWith("--", begin)) return parts;
    const next = text.indexOf(`\r\n${mark}`, begin);
    const headEnd = text.indexOf("\r\n\r\n", begin);
    if (next < 0 || headEnd < 0 || headEnd > next || parts.length >= PARTS_MAX) throw malformed();
    const head = text.slice(begin, headEnd);
    const name = /[; ]name="([^"]*)"/i.exec(head)?.[1];
    if (name === undefined) throw malformed();
    const filename = /filename="([^"]*)"/i.exec(head)?.[1];
    parts.push({ name, filename, bytes: body.slice(headEnd + 4, next) });
    at = next + 2;
  }
}

function malformed(): ApiError {
  return new ApiError(501, "multipart/form-data: unable to parse the body", { body: "text" });
}
