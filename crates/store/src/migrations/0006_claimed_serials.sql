-- What a CPE says its PON serial number is, apart from what was confirmed: `pon_serial` is by an OLT's or an operator's
-- word only. Devices without a service were never confirmed, or are no longer.
ALTER TABLE cpes ADD COLUMN claimed_serial text;
UPDATE cpes SET claimed_serial = pon_serial WHERE service_id IS NULL;
UPDATE cpes SET pon_serial = NULL WHERE service_id IS NULL;
CREATE INDEX cpes_claimed_serial ON cpes (claimed_serial);

-- Who waits for an OLT's word is found by the address it spoke from.
CREATE INDEX cpes_peer_address ON cpes (peer_address);
