-- Firmware files with their content in parts, so that every node has them and a backup of the database is whole.
-- A file is `uploading` until its last part is there, then `ready`; `removing` while its parts go.
CREATE TABLE firmware_files (
    id {id},
    name text NOT NULL,
    manufacturer text NOT NULL,
    oui text NOT NULL,
    product_class text NOT NULL,
    hardware_version text NOT NULL,
    software_version text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    note text NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at bigint NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX firmware_files_content
    ON firmware_files (sha256, manufacturer, oui, product_class, hardware_version) WHERE state = 'ready';
CREATE INDEX firmware_files_state ON firmware_files (state, uploaded_at);

CREATE TABLE firmware_parts (
    file_id bigint NOT NULL REFERENCES firmware_files (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (file_id, number)
);
