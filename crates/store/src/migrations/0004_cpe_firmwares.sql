-- What is known of each firmware of each CPE model, and the family an operator set for it. What was learned by trying
-- stays in `learned`; how many devices are of which family is told by the devices themselves.
CREATE TABLE cpe_firmwares (
    id {id},
    oui text NOT NULL,
    product_class text NOT NULL,
    software_version text NOT NULL,
    manufacturer text NOT NULL,
    model text NOT NULL,
    data_model text NOT NULL,
    first_seen_at bigint NOT NULL,
    family text,
    family_reason text NOT NULL,
    family_by text NOT NULL,
    family_since bigint,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX cpe_firmwares_identity ON cpe_firmwares (oui, product_class, software_version);

-- How the family in use is known, since when, and what a device said to an operator's override.
ALTER TABLE cpes ADD COLUMN profile_known text NOT NULL DEFAULT '';
ALTER TABLE cpes ADD COLUMN profile_at bigint;
ALTER TABLE cpes ADD COLUMN family_refused text;
CREATE INDEX cpes_family ON cpes (oui, product_class, software_version, profile_id, profile_known, profile_at);
CREATE INDEX cpes_family_refused ON cpes (oui, product_class, software_version) WHERE family_refused IS NOT NULL;

INSERT INTO cpe_firmwares (oui, product_class, software_version, manufacturer, model, data_model, first_seen_at,
    family_reason, family_by, version)
SELECT oui, product_class, software_version, MAX(manufacturer), MAX(model), MAX(data_model), MIN(created_at), '', '', 1
FROM cpes WHERE NOT quarantine AND data_model <> ''
GROUP BY oui, product_class, software_version;
