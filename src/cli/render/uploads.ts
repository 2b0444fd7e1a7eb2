/** Refused entries of uploads. */
import type { RefusedUploadsView } from "../../api/schemas/uploads.ts";
import { countText } from "../../core/refusal.ts";
import type { Context } from "../context.ts";
import { instantText } from "../time.ts";

/** A block for each holder and ingress, with the command that accepts its list. */
export function refusedLines(permitId: string, uploads: RefusedUploadsView[], { style }: Context): string[] {
  if (uploads.length === 0) return [`No upload of ${permitId} waits for a decision.`];
  return uploads.flatMap((upload, at) => {
    const { holder, batch, volume, count, shown, list, acceptedAt, acceptedBy } = upload;
    const more = count - shown.length;
    const isTwin = uploads.filter((other) => other.holder === holder && other.list === list).length > 1;
    const which = isTwin ? ` --batch ${batch}` : "";
    return [
      ...(at === 0 ? [] : [""]),
      `${style.bold(volume)}  ${countText(count)}, seen ${instantText(upload.seenAt)}`,
      ...shown.map((line) => `  ${line}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
      acceptedAt === null
        ? `${style.signs.arrow} To leave them out for good: wps uploads accept ${permitId} ${holder} --list ${list}${which}`
        : `Accepted ${instantText(acceptedAt)} by ${acceptedBy ?? "somebody"}: they are left out of the copy`,
    ];
  });
}
