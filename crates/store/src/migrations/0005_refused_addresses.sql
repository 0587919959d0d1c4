-- Addresses that spoke to the ACS by plain HTTP from outside the management networks, so that a missing or mistyped
-- network is seen.
CREATE TABLE refused_addresses (
    address text PRIMARY KEY,
    public boolean NOT NULL,
    times bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL
);
CREATE INDEX refused_addresses_last ON refused_addresses (last_at);
