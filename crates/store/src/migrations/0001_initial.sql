-- The initial schema of Lightkeeper: CRM, OMS, ACS and what they share.
-- The same text runs on SQLite and PostgreSQL; {id} and {bytes} are the only words the two spell differently.
-- Times are UTC milliseconds (*_at), money is minor units, JSON is text, secrets are ciphertext (*_sealed).
-- This file is history: never edit it after a release, add the next migration instead.

-- CRM ------------------------------------------------------------------------------------------------------

CREATE TABLE customers (
    id {id},
    code text NOT NULL,
    name text NOT NULL,
    phone text NOT NULL,
    email text NOT NULL,
    address text NOT NULL,
    note text NOT NULL,
    created_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX customers_code ON customers (code);
CREATE INDEX customers_name ON customers (name);

CREATE TABLE plans (
    id {id},
    name text NOT NULL,
    down_kbps bigint NOT NULL,
    up_kbps bigint NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    internet_mode text NOT NULL,
    vlan bigint,
    line_profile text NOT NULL,
    service_profile text NOT NULL,
    active boolean NOT NULL,
    created_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX plans_name ON plans (name);

-- OMS ------------------------------------------------------------------------------------------------------

CREATE TABLE olts (
    id {id},
    name text NOT NULL,
    vendor_profile text NOT NULL,
    address text NOT NULL,
    port bigint NOT NULL,
    protocol text NOT NULL,
    username text NOT NULL,
    password_sealed {bytes},
    legacy_algorithms boolean NOT NULL,
    host_key_pin text,
    snmp_community_sealed {bytes},
    snmp_port bigint NOT NULL,
    admin_state text NOT NULL,
    defaults text NOT NULL,
    created_at bigint NOT NULL,
    observed text NOT NULL,
    observed_state text NOT NULL,
    observed_reason text,
    observed_at bigint,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX olts_name ON olts (name);

CREATE TABLE pon_ports (
    id {id},
    olt_id bigint NOT NULL REFERENCES olts (id) ON DELETE CASCADE,
    pon text NOT NULL,
    admin_state text NOT NULL,
    observed_state text NOT NULL,
    onu_count bigint NOT NULL,
    observed_at bigint,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX pon_ports_place ON pon_ports (olt_id, pon);

CREATE TABLE onus (
    id {id},
    olt_id bigint NOT NULL REFERENCES olts (id),
    pon text NOT NULL,
    onu_id bigint NOT NULL,
    serial text NOT NULL,
    description text NOT NULL,
    admin_state text NOT NULL,
    sync_state text NOT NULL,
    service_id bigint,
    line_profile_id bigint,
    service_profile_id bigint,
    desired text NOT NULL,
    task_id bigint,
    authorised_at bigint,
    removed_at bigint,
    created_at bigint NOT NULL,
    presence text NOT NULL,
    run_state text NOT NULL,
    last_down_cause text,
    rx_onu_cdbm bigint,
    rx_olt_cdbm bigint,
    distance_m bigint,
    observed text NOT NULL,
    observed_at bigint,
    version bigint NOT NULL
);
-- A removed ONU stays as history; its place and its serial are free again.
CREATE UNIQUE INDEX onus_place ON onus (olt_id, pon, onu_id) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX onus_serial ON onus (serial) WHERE removed_at IS NULL;
CREATE INDEX onus_service ON onus (service_id);

CREATE TABLE detected_onus (
    id {id},
    olt_id bigint NOT NULL REFERENCES olts (id) ON DELETE CASCADE,
    pon text NOT NULL,
    serial text NOT NULL,
    vendor text NOT NULL,
    equipment_id text NOT NULL,
    software_version text NOT NULL,
    hardware_version text NOT NULL,
    state text NOT NULL,
    first_seen_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX detected_onus_serial ON detected_onus (olt_id, serial);
CREATE INDEX detected_onus_state ON detected_onus (state, last_seen_at);

CREATE TABLE olt_tasks (
    id {id},
    kind text NOT NULL,
    olt_id bigint NOT NULL REFERENCES olts (id),
    onu_row_id bigint,
    service_id bigint,
    serial text NOT NULL,
    pon text NOT NULL,
    state text NOT NULL,
    step text NOT NULL,
    plan text NOT NULL,
    journal_sealed {bytes},
    reason text NOT NULL,
    actor text NOT NULL,
    idempotency_key text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    finished_at bigint,
    version bigint NOT NULL
);
-- Two open tasks on one ONU would journal against each other.
CREATE UNIQUE INDEX olt_tasks_open ON olt_tasks (olt_id, serial) WHERE finished_at IS NULL;
CREATE INDEX olt_tasks_state ON olt_tasks (state, updated_at);
CREATE INDEX olt_tasks_serial ON olt_tasks (serial, id);

CREATE TABLE olt_task_lines (
    id {id},
    task_id bigint NOT NULL REFERENCES olt_tasks (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    line text NOT NULL,
    reply text NOT NULL,
    class text NOT NULL,
    at bigint NOT NULL
);
CREATE UNIQUE INDEX olt_task_lines_seq ON olt_task_lines (task_id, seq);

-- ACS ------------------------------------------------------------------------------------------------------

CREATE TABLE cpes (
    id {id},
    oui text NOT NULL,
    product_class text NOT NULL,
    serial_number text NOT NULL,
    pon_serial text,
    manufacturer text NOT NULL,
    model text NOT NULL,
    hardware_version text NOT NULL,
    software_version text NOT NULL,
    data_model text NOT NULL,
    profile_id text,
    state text NOT NULL,
    state_since bigint NOT NULL,
    reason_code text NOT NULL,
    reason_text text NOT NULL,
    reason_next text,
    quarantine boolean NOT NULL,
    service_id bigint,
    machine text NOT NULL,
    next_attempt_at bigint,
    last_inform_at bigint,
    next_inform_by bigint,
    inform_interval_s bigint,
    peer_address text NOT NULL,
    connection_request_url text,
    credentials_sealed {bytes},
    auth_username text,
    created_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX cpes_identity ON cpes (oui, product_class, serial_number);
CREATE UNIQUE INDEX cpes_auth_username ON cpes (auth_username);
CREATE INDEX cpes_pon_serial ON cpes (pon_serial);
CREATE INDEX cpes_state ON cpes (state, state_since);
CREATE INDEX cpes_service ON cpes (service_id);
CREATE INDEX cpes_next_inform ON cpes (next_inform_by);

CREATE TABLE cpe_parameters (
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    path text NOT NULL,
    value text NOT NULL,
    kind text NOT NULL,
    writable boolean,
    read_at bigint NOT NULL,
    PRIMARY KEY (cpe_id, path)
);

-- What search finds a CPE by. A parameter in a hundred holds one, so this stays small and keyed where the values of
-- all parameters are neither.
CREATE TABLE cpe_addresses (
    cpe_id bigint NOT NULL,
    path text NOT NULL,
    address text NOT NULL,
    PRIMARY KEY (cpe_id, path),
    FOREIGN KEY (cpe_id, path) REFERENCES cpe_parameters (cpe_id, path) ON DELETE CASCADE
);
CREATE INDEX cpe_addresses_address ON cpe_addresses (address);

CREATE TABLE evidence (
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    layer text NOT NULL,
    setting text NOT NULL,
    wanted text NOT NULL,
    observed text NOT NULL,
    verified boolean NOT NULL,
    at bigint NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (cpe_id, layer, setting)
);

CREATE TABLE cpe_sessions (
    id {id},
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    began_at bigint NOT NULL,
    ended_at bigint,
    events text NOT NULL,
    requests bigint NOT NULL,
    faults bigint NOT NULL,
    outcome text,
    peer_address text NOT NULL,
    detail text NOT NULL,
    node text NOT NULL
);
CREATE INDEX cpe_sessions_cpe ON cpe_sessions (cpe_id, id);
CREATE INDEX cpe_sessions_open ON cpe_sessions (id) WHERE ended_at IS NULL;

CREATE TABLE cpe_faults (
    id {id},
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    at bigint NOT NULL,
    class text NOT NULL,
    code bigint NOT NULL,
    text text NOT NULL,
    path text NOT NULL,
    rpc text NOT NULL,
    model text NOT NULL,
    software_version text NOT NULL,
    reason_code text NOT NULL
);
CREATE INDEX cpe_faults_cpe ON cpe_faults (cpe_id, id);
CREATE INDEX cpe_faults_at ON cpe_faults (at);

CREATE TABLE connection_requests (
    id {id},
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    at bigint NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX connection_requests_cpe ON connection_requests (cpe_id, id);

CREATE TABLE cpe_timers (
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    timer text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (cpe_id, timer)
);
CREATE INDEX cpe_timers_at ON cpe_timers (at);

CREATE TABLE learned (
    oui text NOT NULL,
    product_class text NOT NULL,
    software_version text NOT NULL,
    path text NOT NULL,
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    fact text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (oui, product_class, software_version, path, cpe_id)
);

-- The service: the one row where contract line, ONU and CPE meet -------------------------------------------

CREATE TABLE services (
    id {id},
    code text NOT NULL,
    customer_id bigint NOT NULL REFERENCES customers (id),
    plan_id bigint NOT NULL REFERENCES plans (id),
    state text NOT NULL,
    access_state text NOT NULL,
    deny_reason text,
    pppoe_login text,
    expected_serial text,
    address text NOT NULL,
    onu_id bigint REFERENCES onus (id),
    cpe_id bigint REFERENCES cpes (id),
    activated_at bigint,
    created_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX services_code ON services (code);
CREATE UNIQUE INDEX services_pppoe_login ON services (pppoe_login);
CREATE UNIQUE INDEX services_onu ON services (onu_id);
CREATE UNIQUE INDEX services_cpe ON services (cpe_id);
CREATE INDEX services_customer ON services (customer_id);
CREATE INDEX services_plan ON services (plan_id);
CREATE INDEX services_expected_serial ON services (expected_serial);
CREATE INDEX services_state ON services (state, id);

CREATE TABLE service_intents (
    service_id bigint NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    layer text NOT NULL,
    intent_version bigint NOT NULL,
    body_sealed {bytes} NOT NULL,
    hash text NOT NULL,
    updated_at bigint NOT NULL,
    updated_by text NOT NULL,
    PRIMARY KEY (service_id, layer)
);

-- Shared ---------------------------------------------------------------------------------------------------

-- History outlives what it speaks of, so the subjects carry no foreign keys.
CREATE TABLE timeline (
    id {id},
    at bigint NOT NULL,
    kind text NOT NULL,
    service_id bigint,
    onu_row_id bigint,
    olt_id bigint,
    cpe_id bigint,
    customer_id bigint,
    from_state text,
    to_state text,
    severity text NOT NULL,
    code text NOT NULL,
    text text NOT NULL,
    next_text text,
    actor text NOT NULL,
    facts text NOT NULL
);
CREATE INDEX timeline_service ON timeline (service_id, id) WHERE service_id IS NOT NULL;
CREATE INDEX timeline_onu ON timeline (onu_row_id, id) WHERE onu_row_id IS NOT NULL;
CREATE INDEX timeline_olt ON timeline (olt_id, id) WHERE olt_id IS NOT NULL;
CREATE INDEX timeline_cpe ON timeline (cpe_id, id) WHERE cpe_id IS NOT NULL;
CREATE INDEX timeline_customer ON timeline (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX timeline_at ON timeline (at);

CREATE TABLE users (
    id {id},
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    active boolean NOT NULL,
    must_change boolean NOT NULL,
    created_at bigint NOT NULL,
    last_login_at bigint,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (name);

CREATE TABLE web_sessions (
    token_hash text NOT NULL PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    address text NOT NULL
);
CREATE INDEX web_sessions_user ON web_sessions (user_id);
CREATE INDEX web_sessions_expires ON web_sessions (expires_at);

CREATE TABLE api_keys (
    id {id},
    name text NOT NULL,
    key_hash text NOT NULL,
    scopes text NOT NULL,
    created_by text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (key_hash);

CREATE TABLE audit_log (
    id {id},
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before text,
    after text,
    address text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_subject ON audit_log (subject, id);
CREATE INDEX audit_log_actor ON audit_log (actor, id);

CREATE TABLE jobs (
    id {id},
    kind text NOT NULL,
    key text,
    payload text NOT NULL,
    state text NOT NULL,
    run_at bigint NOT NULL,
    lease_until bigint,
    lease_owner text,
    attempts bigint NOT NULL,
    max_attempts bigint NOT NULL,
    last_error text,
    created_at bigint NOT NULL,
    finished_at bigint
);
CREATE UNIQUE INDEX jobs_open_key ON jobs (kind, key) WHERE key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_due ON jobs (run_at, id) WHERE finished_at IS NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE outbox (
    id {id},
    at bigint NOT NULL,
    topic text NOT NULL,
    payload text NOT NULL,
    delivered_at bigint
);
CREATE INDEX outbox_undelivered ON outbox (id) WHERE delivered_at IS NULL;

CREATE TABLE settings (
    key text NOT NULL PRIMARY KEY,
    value text NOT NULL,
    updated_at bigint NOT NULL,
    updated_by text NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE idempotency (
    scope text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    response text,
    created_at bigint NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- Who may act alone on something (an OLT's queue, a sweep) until when, among the nodes of one installation.
CREATE TABLE node_leases (
    name text NOT NULL PRIMARY KEY,
    owner text NOT NULL,
    until bigint NOT NULL
);
