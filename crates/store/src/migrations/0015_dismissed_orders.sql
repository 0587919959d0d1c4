-- An order that was not carried out stands until somebody has taken note of it; it is kept.
ALTER TABLE device_orders ADD COLUMN dismissed_at bigint;
CREATE INDEX device_orders_standing ON device_orders (id)
    WHERE dismissed_at IS NULL AND state <> 'done' AND state <> 'accepted' AND state <> 'cancelled';
