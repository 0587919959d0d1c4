-- What came of a test that a CPE ran by itself, as JSON; null for every other order.
ALTER TABLE device_orders ADD COLUMN findings text NOT NULL DEFAULT 'null';
