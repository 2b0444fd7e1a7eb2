-- What a repair was queued for, in words: an unchanged difference that could not be repaired is known again, so that the
-- drift pass waits longer each time instead of queueing a job per pass. Null: not a repair.
alter table jobs add column found text;

-- Messages that have left may be forgotten after a while.
create index outbox_delivered on outbox (delivered_at_ms) where delivered_at_ms is not null;
