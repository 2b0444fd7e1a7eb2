/** A file for a storage, as the one call that takes a form with a file in it wants it (RFC 7578). */
import { Fault } from "../../core/fault.ts";
import type { Asked } from "./answers.ts";

/** A first-boot seed has less than a megabyte; nothing else is uploaded. */
export const UPLOAD_MAX_BYTES = 4 * 1024 * 1024;
/** pveproxy takes a name apart at commas and semicolons; a storage takes no folders (pve-storage). */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/** An ISO image to be uploaded. Its content may be secret, and is shown nowhere. */
export interface Upload {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A form, encoded, and what of it a log may show. */
export interface EncodedUpload {
  contentType: string;
  body: Uint8Array;
  params: Readonly<Record<string, string>>;
  /** The words of the file, for what an answer must not repeat. */
  secrets: () => string[];
}

/**
 * Encodes a form whose checksum the server compares. Fields come before the file, and the boundary follows from the content,
 * which cannot hold its own digest. Throws a stalled Fault for a name or size that is none.
 */
export async function encodeUpload({ name, bytes }: Upload, asked: Asked): Promise<EncodedUpload> {
  if (!NAME.test(name) || bytes.byteLength > UPLOAD_MAX_BYTES) {
    const why = NAME.test(name)
      ? `${name} has ${bytes.byteLength} bytes, more than ${UPLOAD_MAX_BYTES}`
      : `${JSON.stringify(name)} cannot be the name of a file`;
    throw new Fault("stalled", "invalid", `Cannot ${asked.what}: ${why}`, {
      target: asked.target,
      advice: "Report it as a fault of WPS",
    });
  }
  const checksum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  const boundary = `wps-${checksum.slice(0, 40)}`;
  const fields = { content: "iso", "checksum-algorithm": "sha256", checksum };
  const head = [
    ...Object.entries(fields).map(([field, value]) => part(boundary, `name="${field}"`, "", value)),
    part(boundary, `name="filename"; filename="${name}"`, "Content-Type: application/octet-stream\r\n", ""),
  ].join("\r\n");
  const pieces = [new TextEncoder().encode(head), bytes, new TextEncoder().encode(`\r\n--${boundary}--\r\n`)];
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: new Uint8Array(await new Blob(pieces).arrayBuffer()),
    params: { ...fields, filename: name },
    secrets: () => new TextDecoder("latin1").decode(bytes).match(/[!-~]+/g) ?? [],
  };
}

function part(boundary: string, disposition: string, more: string, value: string): string {
  return `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n${more}\r\n${value}`;
}
