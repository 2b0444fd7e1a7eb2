/** What a client sends, with or without a socket. */
import { ApiError } from "./errors.ts";
import { readMultipart } from "./multipart.ts";

/** A request as it is on the wire. */
export interface ApiRequest {
  method: string;
  /** The path with its query, with or without the prefix `/api2/json`. */
  path: string;
  /** By lower-case name: `authorization`, `content-type`. */
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}

/** POST and PUT bodies that are no upload may hold this much (PROXMOX: a body of 600 000 bytes was refused). */
const BODY_BYTES_MAX = 512 * 1024;
/** Uploads are bounded by the double's own memory. */
const UPLOAD_BYTES_MAX = 64 * 1024 * 1024;

/** An uploaded file. */
export interface Upload {
  filename: string;
  bytes: Uint8Array;
}

/** A request taken apart; parameters of the body win over those of the query, those of the path come later. */
export interface ParsedRequest {
  method: string;
  /** Decoded, without prefix, query, repeated and final slashes; "" is the root. */
  path: string;
  parameters: Map<string, unknown>;
  upload: Upload | undefined;
}

/** The path of a request without prefix and query. */
export function splitPath(path: string): { path: string; query: string } {
  const [before = "", query = ""] = path.split("?", 2);
  const stripped = decodeURIComponent(before).replace(/\/{2,}/g, "/").replace(/\/$/, "");
  return { path: stripped.replace(/^\/api2\/(?:json|extjs)(?=\/|$)/, ""), query };
}

function bytesOf(body: ApiRequest["body"]): Uint8Array {
  if (body === undefined) return new Uint8Array();
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
}

function textError(status: number, message: string): ApiError {
  return new ApiError(status, message, { body: "text" });
}

/** Takes a request apart. Throws what the server answers to a body that it does not take. */
export function parseRequest(request: ApiRequest): ParsedRequest {
  const { path, query } = splitPath(request.path);
  const parameters = new Map<string, unknown>(new URLSearchParams(query));
  const parsed: ParsedRequest = { method: request.method, path, parameters, upload: undefined };
  const bytes = bytesOf(request.body);
  if (bytes.length === 0) return parsed;
  if (request.method !== "POST" && request.method !== "PUT") {
    throw textError(501, `Unexpected content for method '${request.method}'`);
  }
  const type = request.headers?.["content-type"] ?? "";
  const essence = type.split(";")[0]?.trim().toLowerCase() ?? "";
  if (essence === "multipart/form-data") return { ...parsed, ...readUpload(type, bytes) };
  if (!["", "application/json", "application/x-www-form-urlencoded"].includes(essence)) {
    throw textError(506, `upload 'Content-Type '${essence}' not implemented`);
  }
  if (bytes.length > BODY_BYTES_MAX) throw textError(501, "for data too large");
  const text = new TextDecoder().decode(bytes);
  const entries = essence === "application/json" ? readJson(text) : new URLSearchParams(text);
  for (const [name, value] of entries) parameters.set(name, value);
  return parsed;
}

function readJson(text: string): Array<[string, unknown]> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw textError(500, "malformed JSON string");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw textError(500, "malformed JSON string");
  }
  return Object.entries(body);
}

function readUpload(type: string, bytes: Uint8Array): Pick<ParsedRequest, "parameters" | "upload"> {
  if (bytes.length > UPLOAD_BYTES_MAX) throw textError(501, "for data too large");
  const parts = readMultipart(type, bytes);
  const parameters = new Map<string, unknown>();
  let upload: Upload | undefined;
  for (const { name, filename, bytes: content } of parts) {
    if (filename === undefined) {
      parameters.set(name, new TextDecoder().decode(content));
      continue;
    }
    upload = { filename, bytes: content };
    parameters.set("filename", filename);
  }
  return { parameters, upload };
}
