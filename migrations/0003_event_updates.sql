-- What an event says of its permit, for lists: status, and what else differs from before. Null: nothing, or recorded
-- before this column was there.
alter table events add column update_summary text check (json_valid(update_summary));
