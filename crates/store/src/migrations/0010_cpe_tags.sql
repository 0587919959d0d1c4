-- Words that people and programs put on CPEs, to find them together.
CREATE TABLE cpe_tags (
    cpe_id bigint NOT NULL REFERENCES cpes (id) ON DELETE CASCADE,
    tag text NOT NULL,
    set_by text NOT NULL,
    set_at bigint NOT NULL,
    PRIMARY KEY (cpe_id, tag)
);
CREATE INDEX cpe_tags_tag ON cpe_tags (tag, cpe_id);
-- A fault that somebody has taken note of is kept and stands no more.
ALTER TABLE cpe_faults ADD COLUMN dismissed_at bigint;
