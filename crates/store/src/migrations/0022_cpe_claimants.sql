-- Who informs with the name of a CPE that is known elsewhere, without any proof: kept apart from what is known of the CPE,
-- with the word of an operator that it is the same one.
CREATE TABLE cpe_claimants (
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    address text NOT NULL,
    url text NOT NULL,
    why text NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    vouched_by text,
    vouched_until bigint,
    PRIMARY KEY (cpe_id, address)
);
