/**
 * An API server in memory, as far as WPS's writes go: identities, versions that move with each change and only then,
 * preconditions of applies, patches and deletions. What it does was seen of the real one (tests/real/kubernetes_writes_test.ts
 * asks that); here every change of somebody else's in between two requests can be had.
 */
import type { Seen } from "../../../src/core/observed.ts";
import type { Writing } from "../../../src/drivers/kubernetes/write.ts";
import { type Manifest, pathOf, type Resource, RESOURCES } from "../../../src/drivers/kubernetes/wire.ts";
import { type Double, startDouble, status } from "./double.ts";
import { PERMIT } from "./fixtures.ts";

interface Metadata {
  [field: string]: unknown;
  name: string;
  uid: string;
  resourceVersion: string;
  labels?: Record<string, string>;
}
interface Kept {
  [field: string]: unknown;
  metadata: Metadata;
}
type Json = Record<string, unknown>;

/** Objects by their path. */
export class MemoryApi implements AsyncDisposable {
  readonly objects = new Map<string, Kept>();
  /** "PATCH /api/v1/…" of each change that was asked for, in order. */
  readonly asked: string[] = [];
  /** Called before each request is served: what somebody else does just then. */
  before: (method: string, path: string) => void = () => {};
  /** What a webhook makes of an object that is stored. */
  webhook: (object: Kept) => void = () => {};
  readonly #double: Double;
  #counter = 100;

  constructor() {
    this.#double = startDouble((request) => this.#serve(request));
  }

  /** What WPS's writes need. */
  get writing(): Writing {
    const clock = { now: () => 0, sleep: () => Promise.resolve() };
    return { client: this.#double.client, permitId: PERMIT, signal: new AbortController().signal, clock };
  }

  /** Puts an object there as somebody would who may do anything; a new one has a new identity. */
  put<R extends Resource>(resource: R, manifest: Manifest<R>): NonNullable<Seen> {
    const { name, namespace } = manifest.metadata;
    const { apiVersion, kind } = RESOURCES[resource];
    // A manifest is JSON with a name; its uid and version are given here.
    const object = { ...manifest, apiVersion, kind } as unknown as Json;
    return this.#keep(pathOf(resource, { namespace, name }), object, undefined);
  }

  /** The object, or undefined. */
  find(resource: Resource, name: string, namespace?: string): Kept | undefined {
    return this.objects.get(pathOf(resource, { namespace, name }));
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#double[Symbol.asyncDispose]();
  }

  #keep(path: string, wanted: Json, existing: Kept | undefined): NonNullable<Seen> {
    const metadata = { ...existing?.metadata, ...wanted["metadata"] as Json };
    const uid = existing?.metadata.uid ?? `uid-${++this.#counter}`;
    const object = { ...existing, ...wanted, metadata: { ...metadata, uid } } as Kept;
    if (path.includes("/networkpolicies/")) dropEmpty(object["spec"] as Json);
    this.webhook(object);
    object.metadata.resourceVersion = existing?.metadata.resourceVersion ?? "";
    if (JSON.stringify(object) !== JSON.stringify(existing)) {
      object.metadata.resourceVersion = `${++this.#counter}`;
      this.objects.set(path, object);
    }
    return { uid, version: object.metadata.resourceVersion };
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const { method } = request;
    const body: Json | null = request.body === null ? null : await request.json();
    this.before(method, pathname);
    if (method !== "GET") this.asked.push(`${method} ${pathname}`);
    const existing = this.objects.get(pathname);
    if (method === "GET") {
      return isCollection(pathname)
        ? this.#list(pathname, searchParams.get("labelSelector"))
        : answer(existing);
    }
    if (body === null) return status(400, "BadRequest", "no body");
    const { uid, resourceVersion } = (body["metadata"] ?? body["preconditions"] ?? {}) as Partial<Metadata>;
    if (method === "DELETE" || !request.headers.get("content-type")?.includes("apply-patch")) {
      if (existing === undefined) return answer(existing);
    }
    const isOther = uid !== undefined && uid !== existing?.metadata.uid;
    const isChanged = existing !== undefined && resourceVersion !== undefined &&
      resourceVersion !== existing.metadata.resourceVersion;
    if (isOther || isChanged) return status(409, "Conflict", "it is not the one, or has changed");
    if (method === "DELETE") this.objects.delete(pathname);
    else if (request.headers.get("content-type")?.includes("merge-patch")) {
      this.#keep(pathname, merged(existing, body) as Json, existing);
    } else this.#keep(pathname, body, existing);
    return answer(this.objects.get(pathname) ?? existing);
  }

  #list(path: string, selector: string | null): Response {
    const wanted = (selector ?? "").split(",").filter((part) => /^[^!]+=/.test(part)).map((part) =>
      part.split("=")
    );
    const items = [...this.objects].filter(([key, { metadata: { labels = {} } }]) =>
      key.startsWith(`${path}/`) && !key.slice(path.length + 1).includes("/") &&
      wanted.every(([name = "", value]) => labels[name] === value)
    ).map(([, object]) => object);
    return Response.json({ metadata: { resourceVersion: `${this.#counter}` }, items });
  }
}

function answer(object: Kept | undefined): Response {
  return object === undefined ? status(404, "NotFound", "there is none") : Response.json(object);
}

/** An even number of parts after the version, but for a namespace itself, ends in a kind and not in a name. */
function isCollection(path: string): boolean {
  const parts = path.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, "").split("/");
  return parts.length % 2 === 1;
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Json = typeof target === "object" && target !== null ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

/** Lists of a policy's spec are left out when they are empty. */
function dropEmpty(spec: Json): void {
  for (const [key, value] of Object.entries(spec)) {
    if (Array.isArray(value) && value.length === 0) delete spec[key];
  }
}
