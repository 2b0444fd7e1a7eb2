/** The API server by bare fetch, as the administrator: what tests do to a cluster behind WPS's back. */
import assert from "node:assert/strict";
import {
  describePlace,
  pathOf,
  type Place,
  type Resource,
  type Stored,
} from "../../../src/drivers/kubernetes/wire.ts";
import type { Cluster } from "../../cluster/harness.ts";

/** Who wrote which fields: what server-side apply keeps of an object. */
export interface ManagedFields {
  manager: string;
  operation: string;
  subresource?: string;
}

/** Requests on one cluster, of any kind that WPS knows. */
export class Api {
  constructor(readonly cluster: Cluster) {}

  /** The object, or null. */
  async get<R extends Resource>(resource: R, place: Place): Promise<Stored<R> | null> {
    const response = await this.cluster.fetch(pathOf(resource, place));
    const body = await response.json();
    if (response.status === 404) return null;
    assert.equal(response.status, 200, `get ${describePlace(resource, place)}: ${body.message}`);
    return body;
  }

  /** The object, which must be there. */
  async need<R extends Resource>(resource: R, place: Place): Promise<Stored<R>> {
    return await this.get(resource, place) ?? assert.fail(`${describePlace(resource, place)} is absent`);
  }

  /** All objects of a kind, in one namespace or everywhere. */
  async list<R extends Resource>(resource: R, namespace?: string): Promise<Stored<R>[]> {
    const response = await this.cluster.fetch(pathOf(resource, { namespace }));
    const body = await response.json();
    assert.equal(response.status, 200, `list ${resource}: ${body.message}`);
    return body.items;
  }

  /** The managers of an object's fields. */
  async managers(resource: Resource, place: Place): Promise<ManagedFields[]> {
    const response = await this.cluster.fetch(pathOf(resource, place));
    return (await response.json()).metadata.managedFields;
  }

  /** JSON merge patch. False: the object is absent. */
  async merge(resource: Resource, place: Place, patch: object): Promise<boolean> {
    return await this.#write("PATCH", pathOf(resource, place), patch, "application/merge-patch+json");
  }

  /** Creates an object; its metadata names it. */
  async create(resource: Resource, namespace: string | undefined, object: object): Promise<void> {
    const path = pathOf(resource, { namespace });
    assert.ok(await this.#write("POST", path, object, "application/json"), `POST ${path}: not found`);
  }

  /** Deletes gracefully, without waiting. False: it was absent. */
  async remove(resource: Resource, place: Place): Promise<boolean> {
    return await this.#write(
      "DELETE",
      pathOf(resource, place),
      { propagationPolicy: "Background" },
      "application/json",
    );
  }

  async #write(method: string, path: string, body: object, type: string): Promise<boolean> {
    const response = await this.cluster.fetch(path, {
      method,
      body: JSON.stringify(body),
      headers: { "content-type": type },
    });
    const answer = await response.json();
    if (response.status === 404) return false;
    assert.ok(response.ok, `${method} ${path}: ${answer.message}`);
    return true;
  }
}
