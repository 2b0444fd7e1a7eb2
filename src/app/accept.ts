/** The API's way into the intake: a posted event as a delivery, and its receipt back. */
import type { AcceptEvent, PostedEvent, RecordedEvent } from "../api/deps.ts";
import type { Delivery, Receipt } from "../intake/delivery.ts";

/** Records one delivery and resolves once it is committed. */
export type AcceptDelivery = (delivery: Delivery) => Promise<Receipt>;

/** `wake` is called for a permit whose event was accepted, after the commit. */
export function acceptPosted(accept: AcceptDelivery, wake: (permitId: string) => void): AcceptEvent {
  return async (event, within) => {
    const receipt = await accept(deliveryOf(event, within));
    if (receipt.verdict === "accepted" && receipt.permitId !== null) wake(receipt.permitId);
    return recordedOf(receipt);
  };
}

function deliveryOf(event: PostedEvent, within: Parameters<AcceptEvent>[1]): Delivery {
  const { body, contentType, contentEncoding, headers, channel, actor, requestId } = event;
  return {
    raw: { body, contentType, contentEncoding, headers, routingKey: null, messageId: null },
    channel,
    redelivered: false,
    recordedBefore: 0,
    actor,
    requestId,
    within: (tx, receipt) => within(tx, recordedOf(receipt)),
  };
}

function recordedOf(receipt: Receipt): RecordedEvent {
  const { verdict, seq, source, id, permitId, reasons, unknownFields, jobId } = receipt;
  return { verdict, seq, source, id, permitId, reasons, unknownFields, jobId };
}
