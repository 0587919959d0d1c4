-- What a fault is about, with instance numbers as `?`: the same leaf of another instance is the same fault. Faults from
-- before keep their path as it was written.
ALTER TABLE cpe_faults ADD COLUMN parameter text NOT NULL DEFAULT '';
UPDATE cpe_faults SET parameter = path;

-- Everything that faults are grouped by, so that a million of them are counted without reading their texts.
CREATE INDEX cpe_faults_groups ON cpe_faults (at, class, code, reason_code, parameter, model, software_version, cpe_id, id);
