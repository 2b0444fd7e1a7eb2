/** Certificates of a deletion as a person reads them. */
import type { Certificate } from "../../core/certificate.ts";
import type { Style } from "../style.ts";
import { fields, table } from "../table.ts";
import { instantText } from "../time.ts";
import { NOTHING } from "./words.ts";

/** The lines of one certificate. */
export function certificateLines(style: Style, certificate: Certificate): string[] {
  const { permitId, serial, statement, request, objects, volumes, issuedAt, issuer, keyId, job } =
    certificate;
  const asked = request === null
    ? "an event that is no longer kept"
    : `event ${request.event} (${request.type ?? "?"} ${request.id ?? "without id"} from ${
      request.source ?? "?"
    }), received ${instantText(request.receivedAt)}`;
  return [
    style.bold(`Certificate ${serial} of the deletion of ${permitId}`),
    statement,
    "",
    ...fields([
      ["asked for by", asked],
      ["proven by", `job ${job}, ${instantText(issuedAt)}`],
      ["issued by", issuer],
      ["key", keyId],
    ]),
    ...section(
      table(
        style,
        ["OBJECT", "NAME", "UID", "ORDERED", "BY", "ABSENT", "SEEN BY"],
        objects.map(({ kind, name, uid, ordered, absent }) => [
          kind,
          name,
          uid,
          ordered === null ? NOTHING : instantText(ordered.at),
          ordered?.step ?? "not ordered by WPS",
          absent === null ? style.red("STILL THERE") : instantText(absent.at),
          absent?.by ?? NOTHING,
        ]),
      ),
      objects.length,
    ),
    ...section(
      table(
        style,
        ["VOLUME", "GENERATION", "TAINT", "DATA", "OBJECTS"],
        volumes.map(({ key, generation, tainted, bound, uids }) => [
          key,
          `${generation}`,
          tainted ? "tainted" : NOTHING,
          bound ? "was bound" : "never bound",
          uids.join(", ") || NOTHING,
        ]),
      ),
      volumes.length,
    ),
  ];
}

function section(lines: string[], rows: number): string[] {
  return rows === 0 ? [] : ["", ...lines];
}
