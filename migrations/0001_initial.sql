-- Times are epoch milliseconds (…_at_ms). JSON is text. Flags are 0 or 1. Foreign keys are deferred to
-- the commit, so that one transaction may write its rows in any order.

create table meta (
  name  text primary key,
  value text not null
) strict, without rowid;

-- What a permit should be: the fold of its accepted events.
create table permits (
  permit_id        text primary key check (permit_id <> ''),
  status           text,
  tier             text,
  expires_at       text,
  -- 1: that this date has passed is on record, whatever a clock says later.
  expired          integer not null default 0 check (expired in (0, 1)),
  -- When something is due because of the date: a warning, or its end. 0: it has not been looked at; null: nothing.
  expiry_due_ms    integer,
  members          text    not null check (json_valid(members)),
  accounts         text    not null check (json_valid(accounts)),
  holders          text    not null check (json_valid(holders)),
  fs_group         integer not null,
  ingress_batch    integer not null,
  ingress_open     integer not null check (ingress_open in (0, 1)),
  stop_requested   integer not null check (stop_requested in (0, 1)),
  halted           integer not null check (halted in (0, 1)),
  deletion         text    not null check (deletion in ('none', 'requested', 'done')),
  last_revision    integer,
  last_time        text,
  latest_type      text,
  latest_body_hash text,
  version          integer not null,
  created_at_ms    integer not null,
  updated_at_ms    integer not null
) strict;

create index permits_by_expiry on permits (expiry_due_ms, permit_id) where expiry_due_ms is not null;

-- Warnings that were given, or passed over for a nearer one: each once for a permit's date.
create table expiry_warnings (
  permit_id  text    not null references permits (permit_id) deferrable initially deferred,
  expires_at text    not null,
  days       integer not null,
  at_ms      integer not null,
  primary key (permit_id, expires_at, days)
) strict, without rowid;

create trigger permits_deletion_is_final before update of deletion on permits
when (old.deletion = 'requested' and new.deletion = 'none') or (old.deletion = 'done' and new.deletion <> 'done')
begin
  select raise(abort, 'a deleted permit stays deleted');
end;

create trigger permits_version_never_falls before update of version on permits
when new.version < old.version
begin
  select raise(abort, 'a permit''s version never falls');
end;

-- Who holds which role, kept in step with permits.members for queries; who was once named stays, inactive.
create table members (
  permit_id     text    not null references permits (permit_id) deferrable initially deferred,
  role          text    not null check (role in ('dataHolder', 'preprocessor', 'reviewer', 'setupReviewer', 'researcher')),
  owner         text    not null,
  username      text    not null,
  uid           integer,
  gid           integer,
  active        integer not null check (active in (0, 1)),
  since_at_ms   integer not null,
  updated_at_ms integer not null,
  primary key (permit_id, role, owner)
) strict, without rowid;

create index members_by_username on members (username, permit_id);

-- The inbox: one row for each delivery, whatever its verdict.
create table events (
  seq            integer primary key autoincrement,
  received_at_ms integer not null,
  channel        text    not null check (channel in ('amqp', 'http', 'cli', 'wps')),
  source         text,
  id             text,
  type           text,
  permit_id      text,
  revision       integer,
  time           text,
  verdict        text    not null check (verdict in ('accepted', 'duplicate', 'conflict', 'stale', 'ignored', 'rejected')),
  reasons        text    not null check (json_valid(reasons)),
  -- Members that WPS does not know and passed over: the first paths, and how many; null: none.
  unknown_fields text    check (json_valid(unknown_fields)),
  body           blob    not null,
  body_bytes     integer not null,
  body_hash      text    not null,
  acked_at_ms    integer,
  absorbed       integer not null default 0 check (absorbed in (0, 1)),
  -- 1: this row established its (source, id); later ones are duplicates or conflicts of it.
  identity       integer not null check (identity in (0, 1))
) strict;

create unique index events_identity on events (source, id) where identity = 1;
create index events_by_permit on events (permit_id, seq);
create index events_by_verdict on events (verdict, seq);
create index events_by_type on events (type, seq);
-- Anonymous deliveries whose acknowledgement may not have reached the broker.
create index events_unacked on events (permit_id, body_hash) where id is null and acked_at_ms is null and absorbed = 0;

create table jobs (
  id               integer primary key autoincrement,
  permit_id        text    not null references permits (permit_id) deferrable initially deferred,
  kind             text    not null check (kind in ('halt', 'delete', 'stop', 'reconcile', 'drift')),
  state            text    not null check (state in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'superseded')),
  priority         integer not null,
  version          integer not null,
  event_seq        integer references events (seq) deferrable initially deferred,
  attempt          integer not null default 0 check (attempt >= 0),
  run_at_ms        integer not null,
  created_at_ms    integer not null,
  started_at_ms    integer,
  ended_at_ms      integer,
  boot_epoch       text,
  fence            integer not null default 0,
  waiting_for      text,
  waiting_since_ms integer,
  reason           text,
  message          text,
  advice           text,
  steps_done       integer not null default 0,
  steps_total      integer not null default 0,
  cancel_requested integer not null default 0 check (cancel_requested in (0, 1)),
  check ((state in ('queued', 'running')) = (ended_at_ms is null)),
  check (state <> 'running' or boot_epoch is not null)
) strict;

-- Invariant 5, guarded by the database itself: one running job per permit, and at most one queued behind it.
create unique index jobs_one_running on jobs (permit_id) where state = 'running';
create unique index jobs_one_queued on jobs (permit_id) where state = 'queued';
create index jobs_to_claim on jobs (priority, run_at_ms, id) where state = 'queued';
create index jobs_by_permit on jobs (permit_id, id);
create index jobs_by_state on jobs (state, id);
-- Each new event is looked up here for its foreign key: without it every insert walks all jobs.
create index jobs_by_event on jobs (event_seq);
create index jobs_by_kind on jobs (kind, id);

create table steps (
  id            integer primary key autoincrement,
  job_id        integer not null references jobs (id) deferrable initially deferred,
  attempt       integer not null,
  kind          text    not null,
  target        text    not null,
  why           text    not null,
  wave          integer not null,
  started_at_ms integer not null,
  ended_at_ms   integer,
  outcome       text    not null check (outcome in ('running', 'done', 'waited', 'failed', 'abandoned')),
  detail        text,
  check ((outcome = 'running') = (ended_at_ms is null))
) strict;

create index steps_by_job on steps (job_id, id);
create index steps_done on steps (kind, id) where outcome = 'done';

-- The last observation of each workspace.
create table workspaces (
  permit_id      text    not null references permits (permit_id) deferrable initially deferred,
  key            text    not null,
  kind           text    not null,
  owner          text    not null,
  username       text    not null,
  wanted         text    not null check (wanted in ('running', 'stopped', 'absent')),
  status         text    not null,
  posture        text,
  network        text    check (network in ('shut', 'open', 'breached')),
  protocol       text,
  host           text,
  port           integer,
  instance_uid   text,
  node           text,
  outdated       integer not null check (outdated in (0, 1)),
  mounts         text    not null check (json_valid(mounts)),
  detail         text,
  -- What the driver saw, whole, so that the public status can follow a new event before the next observation.
  observed       text    check (json_valid(observed)),
  observed_at_ms integer not null,
  primary key (permit_id, key)
) strict, without rowid;

create index workspaces_by_username on workspaces (username, permit_id);
-- What people reach is looked for every few seconds.
create index workspaces_open on workspaces (permit_id, key) where network = 'open';

-- Connection passwords and SSH host keys, sealed (AES-256-GCM); their key is outside the database.
create table secrets (
  permit_id     text    not null references permits (permit_id) deferrable initially deferred,
  kind          text    not null check (kind in ('password', 'host-key')),
  subject       text    not null,
  sealed        blob    not null,
  updated_at_ms integer not null,
  primary key (permit_id, kind, subject)
) strict, without rowid;

create table volumes (
  permit_id     text    not null references permits (permit_id) deferrable initially deferred,
  key           text    not null,
  tainted       integer not null check (tainted in (0, 1)),
  -- When it first was, and the permit's status then.
  tainted_at_ms integer,
  tainted_under text,
  bound         integer not null check (bound in (0, 1)),
  destroyed     integer not null check (destroyed in (0, 1)),
  -- The last observation in words, e.g. "bound, 100Gi".
  observed      text,
  updated_at_ms integer not null,
  primary key (permit_id, key)
) strict, without rowid;

-- Invariant 3, guarded by the database itself: for good.
create trigger volumes_taint_is_for_good before update on volumes
when new.tainted < old.tainted or new.bound < old.bound or new.destroyed < old.destroyed
begin
  select raise(abort, 'what a volume has been is never forgotten');
end;

create trigger volumes_are_never_forgotten before delete on volumes
begin
  select raise(abort, 'what a volume has been is never forgotten');
end;

-- Entries of uploads that are never copied, by the hash of their whole list, and who agreed to leave that list out.
create table refused_uploads (
  permit_id      text    not null references permits (permit_id) deferrable initially deferred,
  volume_key     text    not null,
  list_hash      text    not null check (length(list_hash) = 64),
  entries        integer not null check (entries > 0),
  -- The first lines of the list.
  shown          text    not null check (json_valid(shown) and length(cast(shown as blob)) <= 65536),
  seen_at_ms     integer not null,
  accepted_at_ms integer,
  accepted_by    text,
  primary key (permit_id, volume_key, list_hash),
  check ((accepted_at_ms is null) = (accepted_by is null))
) strict, without rowid;

create trigger refused_uploads_are_accepted_for_good before update on refused_uploads
when old.accepted_at_ms is not null and (new.accepted_at_ms is not old.accepted_at_ms or new.accepted_by is not old.accepted_by)
begin
  select raise(abort, 'what somebody agreed to is on record');
end;

-- Proofs of isolation, one row for each proof of one instance.
create table evidence (
  id            integer primary key autoincrement,
  permit_id     text    not null references permits (permit_id) deferrable initially deferred,
  workspace_key text    not null,
  instance_uid  text    not null,
  at_ms         integer not null,
  evidence      text    not null check (json_valid(evidence) and length(cast(evidence as blob)) <= 4096)
) strict;

create index evidence_by_instance on evidence (permit_id, workspace_key, instance_uid, id);

-- Invariants that the last look at a permit found broken; the audit has all that ever were.
create table breaches (
  permit_id   text    not null references permits (permit_id) deferrable initially deferred,
  invariant   integer not null,
  target      text    not null,
  message     text    not null,
  since_at_ms integer not null,
  primary key (permit_id, invariant, target, message)
) strict, without rowid;

-- Every object that was ever seen of a permit: what its deletion must be seen to end. Never forgotten.
create table objects (
  id            integer primary key autoincrement,
  permit_id     text    not null references permits (permit_id) deferrable initially deferred,
  kind          text    not null,
  name          text    not null,
  uid           text    not null,
  of_kind       text    not null check (of_kind in ('permit', 'workspace', 'volume', 'task')),
  of_key        text    not null,
  found_by      text    not null,
  is_within     integer not null check (is_within in (0, 1)),
  seen_at_ms    integer not null,
  -- The first step that was to end it; null: none of WPS's.
  ordered_at_ms integer,
  ordered_step  text,
  ordered_why   text,
  ordered_job   integer,
  -- The observation that no longer showed it.
  gone_at_ms    integer,
  gone_by       text,
  -- The certificate that tells of it.
  certificate   integer,
  check ((ordered_at_ms is null) = (ordered_step is null) and (gone_at_ms is null) = (gone_by is null)),
  check (certificate is null or gone_at_ms is not null)
) strict;

create unique index objects_identity on objects (permit_id, kind, uid, name);

create trigger objects_are_never_forgotten before delete on objects
begin
  select raise(abort, 'what was seen of a permit is never forgotten');
end;

-- Signed statements of what a deletion destroyed and that it is gone; canonical JSON and an Ed25519 signature over it.
create table certificates (
  permit_id    text    not null references permits (permit_id) deferrable initially deferred,
  serial       integer not null check (serial > 0),
  issued_at_ms integer not null,
  key_id       text    not null,
  body         text    not null check (json_valid(body)),
  signature    text    not null,
  primary key (permit_id, serial)
) strict, without rowid;

create trigger certificates_are_never_rewritten before update on certificates
begin
  select raise(abort, 'certificates are never rewritten');
end;

create trigger certificates_are_never_deleted before delete on certificates
begin
  select raise(abort, 'certificates are never deleted');
end;

-- Numbers that nobody else may use meanwhile: uids and group ids of permits.
create table leases (
  kind         text    not null,
  value        integer not null,
  permit_id    text    not null references permits (permit_id) deferrable initially deferred,
  holder       text    not null,
  leased_at_ms integer not null,
  primary key (kind, value)
) strict, without rowid;

create unique index leases_by_holder on leases (kind, permit_id, holder);
create index leases_by_permit on leases (permit_id);

-- Append-only. prev_hash and hash are filled once the chain is kept.
create table audit (
  seq        integer primary key autoincrement,
  at_ms      integer not null,
  permit_id  text,
  event_seq  integer,
  job_id     integer,
  actor_kind text    not null check (actor_kind in ('event', 'api', 'operator', 'service')),
  actor_id   text    not null,
  action     text    not null,
  target     text    not null,
  outcome    text    not null check (outcome in ('intended', 'done', 'refused', 'failed')),
  reason     text,
  request_id text,
  prev_hash  text,
  hash       text
) strict;

create index audit_by_permit on audit (permit_id, seq);
create index audit_by_action on audit (action, seq);

create trigger audit_is_append_only before delete on audit
begin
  select raise(abort, 'audit rows are never deleted');
end;

create trigger audit_is_never_rewritten before update on audit
when old.hash is not null
  or new.seq <> old.seq or new.at_ms <> old.at_ms or new.permit_id is not old.permit_id
  or new.event_seq is not old.event_seq or new.job_id is not old.job_id
  or new.actor_kind <> old.actor_kind or new.actor_id <> old.actor_id or new.action <> old.action
  or new.target <> old.target or new.outcome <> old.outcome or new.reason is not old.reason
  or new.request_id is not old.request_id
begin
  select raise(abort, 'audit rows are never rewritten');
end;

-- Messages that must leave at least once; the row's id is the stable message id.
create table outbox (
  id              integer primary key autoincrement,
  topic           text    not null,
  key             text    not null,
  permit_id       text,
  payload         text    not null check (json_valid(payload)),
  created_at_ms   integer not null,
  delivered_at_ms integer
) strict;

create index outbox_pending on outbox (id) where delivered_at_ms is null;

create table idempotency_keys (
  caller        text    not null,
  key           text    not null,
  body_hash     text    not null,
  state         text    not null check (state in ('running', 'done')),
  boot_epoch    text    not null,
  status        integer,
  content_type  text,
  body          text,
  created_at_ms integer not null,
  expires_at_ms integer not null,
  primary key (caller, key),
  check ((state = 'done') = (status is not null and body is not null))
) strict, without rowid;

create index idempotency_keys_by_expiry on idempotency_keys (expires_at_ms);

create table api_keys (
  id              text    primary key,
  name            text    not null,
  secret_hash     text    not null,
  role            text    not null check (role in ('permit-manager', 'gateway', 'operator', 'auditor', 'admin')),
  created_at_ms   integer not null,
  created_by      text    not null,
  expires_at_ms   integer,
  revoked_at_ms   integer,
  last_used_at_ms integer
) strict, without rowid;

create table sessions (
  id            text    primary key,
  subject       text    not null,
  role          text    not null check (role in ('permit-manager', 'gateway', 'operator', 'auditor', 'admin')),
  created_at_ms integer not null,
  expires_at_ms integer not null,
  revoked_at_ms integer
) strict, without rowid;

create index sessions_by_expiry on sessions (expires_at_ms);
