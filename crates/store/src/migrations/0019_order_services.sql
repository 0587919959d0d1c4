-- The service that a device order was given for; null where the CPE belonged to none. What failed may be ordered once more,
-- and then for no other: of that it is taken from the line in the timeline that was written with it.
ALTER TABLE device_orders ADD COLUMN service_id bigint;
UPDATE device_orders SET service_id = (
    SELECT MAX(t.service_id) FROM timeline t
    WHERE t.cpe_id = device_orders.cpe_id AND t.code = 'order_given' AND t.at = device_orders.created_at
) WHERE dismissed_at IS NULL AND state IN ('waiting', 'sent', 'failed', 'expired');
