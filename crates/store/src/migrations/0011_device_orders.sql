-- What people and programs ordered for one CPE, beside what its service needs. The key is its name on the wire. The body
-- is sealed, as it may hold passwords; it goes when the order is over.
CREATE TABLE device_orders (
    id {id},
    key text NOT NULL,
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    kind text NOT NULL,
    summary text NOT NULL,
    shown text NOT NULL,
    state text NOT NULL,
    text text NOT NULL,
    warning text NOT NULL,
    fault_code bigint NOT NULL,
    fault_text text NOT NULL,
    results text NOT NULL,
    values_read bigint NOT NULL,
    actor text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    sent_at bigint,
    ended_at bigint,
    version bigint NOT NULL,
    body_sealed {bytes}
);
CREATE UNIQUE INDEX device_orders_key ON device_orders (key);
CREATE INDEX device_orders_cpe ON device_orders (cpe_id, id);
CREATE INDEX device_orders_open ON device_orders (cpe_id) WHERE ended_at IS NULL;
