/** The verbs of the Kubernetes API that WPS uses, typed, over {@link Transport}. */
import { JOB_PRIORITY } from "../../core/job.ts";
import { asked, asMetadata, asStored, isAbsent } from "./answers.ts";
import { type Listed, type ListPlace, type ListQuery, readPages, selectors, type Send } from "./lists.ts";
import type { ApiRequest, Transport } from "./transport.ts";
import {
  type Manifest,
  type MetadataOnly,
  type Models,
  type OtherKind,
  pathOf,
  type Place,
  type Resource,
  RESOURCES,
  type Stored,
  type Wire,
} from "./wire.ts";

/** The one field manager of WPS (DESIGN 8). */
export const FIELD_MANAGER = "wps";
/** Preconditions of a deletion; what is absent is not checked. */
export interface Preconditions {
  uid: string;
  resourceVersion?: string;
}

/** A patch's parts: what is null is removed (RFC 7386). */
export type MergePatch<T> = T extends readonly unknown[] ? T
  : T extends object ? { [K in keyof T]?: MergePatch<T[K]> | null }
  : T;

const METADATA_ITEM = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/** The verbs. Each throws a Fault; `get` and `remove` take absence for an answer. */
export class Client {
  /** `priority`: of the job that asks; where requests queue, the lower goes ahead. */
  constructor(
    private readonly transport: Transport,
    private readonly priority: number = JOB_PRIORITY.reconcile,
  ) {}

  /** The same client for a job of this priority. */
  at(priority: number): Client {
    return new Client(this.transport, priority);
  }

  /** The object as it is now (a quorum read), or null. */
  async get<R extends Resource>(resource: R, place: Place, signal: AbortSignal): Promise<Stored<R> | null> {
    const found = await this.#read(resource, place, undefined, signal);
    return found === null ? null : asStored<R>(found);
  }

  /** The object's metadata, or null: where the rest is secret. */
  async getMetadata(resource: Resource, place: Place, signal: AbortSignal): Promise<MetadataOnly | null> {
    const found = await this.#read(resource, place, METADATA_ITEM, signal);
    return found === null ? null : asMetadata(found);
  }

  /** All objects as they are now, read page by page. */
  async list<R extends Resource>(resource: R, query: ListQuery, signal: AbortSignal): Promise<Stored<R>[]> {
    const { items } = await readPages(this.#sending, placeOfList(resource, query), query, undefined, signal);
    return items.map((item) => asStored<R>(item));
  }

  /** The metadata of all objects, and the version from which a watch goes on. */
  async listMetadata(
    resource: Resource,
    query: ListQuery,
    signal: AbortSignal,
  ): Promise<Listed<MetadataOnly>> {
    const place = placeOfList(resource, query);
    const { items, resourceVersion } = await readPages(this.#sending, place, query, METADATA_LIST, signal);
    return { items: items.map(asMetadata), resourceVersion };
  }

  /** The metadata of all objects of a kind that only discovery knows, in one namespace. */
  async listOther(
    { apiVersion, group, resource }: OtherKind,
    namespace: string,
    signal: AbortSignal,
  ): Promise<MetadataOnly[]> {
    const place: ListPlace = {
      path: `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/${resource}`,
      asked: { verb: "list", resource, target: `${resource}.${group} in ${namespace}`, secret: true },
    };
    const { items } = await readPages(this.#sending, place, {}, METADATA_LIST, signal);
    return items.map(asMetadata);
  }

  /** Server-side apply by manager "wps", taking over fields of others. Preconditions travel in its metadata. */
  async apply<R extends Resource>(
    resource: R,
    manifest: Manifest<R> & { metadata: { namespace?: string; resourceVersion?: string; uid?: string } },
    signal: AbortSignal,
  ): Promise<Stored<R>> {
    return asStored<R>(await this.#sendApply(resource, manifest, {}, signal));
  }

  /** Replaces the whole object, whoever wrote its fields; its metadata carries the version that was seen. */
  async replace<R extends Resource>(
    resource: R,
    manifest: Manifest<R> & { metadata: { resourceVersion: string; uid: string } },
    signal: AbortSignal,
  ): Promise<Stored<R>> {
    const { name, namespace } = manifest.metadata;
    const { apiVersion, kind } = RESOURCES[resource];
    const answer = await this.#send({
      method: "PUT",
      path: pathOf(resource, { name, namespace }),
      query: { fieldManager: FIELD_MANAGER },
      body: { ...manifest, apiVersion, kind },
      asked: asked("update", resource, { name, namespace }),
    }, signal);
    return asStored<R>(answer);
  }

  /** Sends an apply that changes nothing, to learn whether it would be admitted. */
  async tryApply<R extends Resource>(resource: R, manifest: Manifest<R>, signal: AbortSignal): Promise<void> {
    await this.#sendApply(resource, manifest, { dryRun: "All" }, signal);
  }

  /** JSON merge patch (RFC 7386). With metadata.uid or resourceVersion in it, it holds for that object only. */
  async merge<R extends Resource>(
    resource: R,
    place: Place,
    patch: MergePatch<Wire<Models[R]>>,
    signal: AbortSignal,
  ): Promise<Stored<R>> {
    const answer = await this.#send({
      method: "PATCH",
      path: pathOf(resource, place),
      query: { fieldManager: FIELD_MANAGER },
      contentType: "application/merge-patch+json",
      body: patch,
      asked: asked("patch", resource, place),
    }, signal);
    return asStored<R>(answer);
  }

  /** Deletes gracefully, dependents in the background unless `foreground`. False: it was absent already. */
  async remove(
    resource: Resource,
    place: Place,
    preconditions: Preconditions,
    signal: AbortSignal,
    options: { foreground?: boolean } = {},
  ): Promise<boolean> {
    const body = {
      kind: "DeleteOptions",
      apiVersion: "v1",
      preconditions,
      propagationPolicy: options.foreground === true ? "Foreground" : "Background",
    };
    const request: ApiRequest = {
      method: "DELETE",
      path: pathOf(resource, place),
      body,
      asked: asked("delete", resource, place),
    };
    try {
      await this.#send(request, signal);
      return true;
    } catch (thrown) {
      if (isAbsent(thrown)) return false;
      throw thrown;
    }
  }

  /** A virtual object (an access review): sent, answered, kept nowhere. */
  async review(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const target = path.slice(path.lastIndexOf("/") + 1);
    return await this.#send({
      method: "POST",
      path,
      body,
      asked: { verb: "create", resource: target, target, secret: false },
    }, signal);
  }

  /** A path that is no object, e.g. "/version". */
  async raw(path: string, signal: AbortSignal, accept?: string): Promise<unknown> {
    return await this.#send({
      method: "GET",
      path,
      accept,
      asked: { verb: "get", resource: "", target: path, secret: false },
    }, signal);
  }

  /** A stream of metadata changes after `resourceVersion`; the server ends it after `timeoutSeconds`. */
  async openWatch(
    resource: Resource,
    query: ListQuery & { resourceVersion: string; timeoutSeconds: number },
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    return await this.transport.open({
      method: "GET",
      path: pathOf(resource, { namespace: query.namespace }),
      query: {
        ...selectors(query),
        watch: "1",
        allowWatchBookmarks: "true",
        resourceVersion: query.resourceVersion,
        timeoutSeconds: `${query.timeoutSeconds}`,
      },
      accept: METADATA_ITEM,
      asked: asked("watch", resource, {}),
    }, signal);
  }

  /** For who sends on this client's behalf. */
  readonly #sending: Send = (request, signal) => this.#send(request, signal);

  #send(request: ApiRequest, signal: AbortSignal): Promise<unknown> {
    return this.transport.send(request, this.priority, signal);
  }

  async #sendApply<R extends Resource>(
    resource: R,
    manifest: Manifest<R>,
    query: Record<string, string>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { name, namespace } = manifest.metadata;
    const { apiVersion, kind } = RESOURCES[resource];
    return await this.#send({
      method: "PATCH",
      path: pathOf(resource, { name, namespace }),
      query: { fieldManager: FIELD_MANAGER, force: "true", ...query },
      contentType: "application/apply-patch+yaml", // JSON is YAML
      body: { ...manifest, apiVersion, kind },
      asked: asked("patch", resource, { name, namespace }),
    }, signal);
  }

  async #read(
    resource: Resource,
    place: Place,
    accept: string | undefined,
    signal: AbortSignal,
  ): Promise<unknown | null> {
    try {
      return await this.#send({
        method: "GET",
        path: pathOf(resource, place),
        accept,
        asked: asked("get", resource, place),
      }, signal);
    } catch (thrown) {
      if (isAbsent(thrown)) return null;
      throw thrown;
    }
  }
}

function placeOfList(resource: Resource, { namespace }: ListQuery): ListPlace {
  return { path: pathOf(resource, { namespace }), asked: asked("list", resource, { namespace }) };
}
