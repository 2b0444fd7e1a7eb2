/** `/permits/{permitId}/certificate`: what a deletion destroyed and that it is gone, signed. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { certificatesOf, type StoredCertificate } from "../store/certificates.ts";
import type { SitePublicKey } from "../store/site_key.ts";
import { json, problems } from "./answers.ts";
import { route } from "./auth.ts";
import type { ApiDeps, Router } from "./deps.ts";
import type { ApiEnv } from "./env.ts";
import { ProblemError } from "./problem.ts";
import { CertificateAnswer } from "./schemas/certificates.ts";
import { PermitPath } from "./schemas/common.ts";
import { requireSnapshot } from "./workspaces.ts";

const certificateRoute = route("permits:read", {
  method: "get",
  path: "/permits/{permitId}/certificate",
  tags: ["permits"],
  summary: "The certificates of a permit's deletion",
  request: { params: PermitPath },
  responses: { 200: json(CertificateAnswer, "The certificates, the first one first"), ...problems },
});

/** The routes of certificates. */
export function certificatesRouter({ db, siteKey, ...deps }: ApiDeps): Router {
  const app = new OpenAPIHono<ApiEnv>();
  app.openapi(certificateRoute, async (c) => {
    const { permitId } = c.req.valid("param");
    const { status } = await requireSnapshot({ db, siteKey, ...deps }, permitId);
    const certificates = await certificatesOf(db, permitId);
    if (certificates.length === 0) {
      throw new ProblemError("not-found", `Cannot find a certificate of ${permitId}: it is ${status}`, {
        reason: "not-found",
        advice: "One is issued when a deletion was seen to be complete, after the event permit.deleted",
      });
    }
    const items = certificates.map((stored) => ({
      algorithm: "Ed25519" as const,
      certificate: JSON.parse(stored.body),
      signature: stored.signature,
      verdict: verdictOn(stored, siteKey),
    }));
    const publicKey = siteKey === null ? null : { id: siteKey.id, pem: siteKey.pem };
    return c.json(CertificateAnswer.parse({ permitId, publicKey, items }), 200);
  });
  return app;
}

function verdictOn(
  { body, signature, keyId }: StoredCertificate,
  key: SitePublicKey | null,
): CertificateAnswer["items"][number]["verdict"] {
  if (key === null || key.id !== keyId) return "unknown-key";
  return key.verify(body, signature) ? "valid" : "invalid";
}
