-- The last whole observation of each permit as a driver reported it, and the plan's shape at that time: what the
-- public status, `wps status` and `wps plan` are answered from while the platform is away.
create table observations (
  permit_id      text    primary key references permits (permit_id) deferrable initially deferred,
  observed       text    not null check (json_valid(observed)),
  observed_at_ms integer not null
) strict;
