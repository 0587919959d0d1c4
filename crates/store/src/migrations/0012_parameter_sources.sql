-- Whose word a parameter's value is: empty for the device's own, as we read it.
ALTER TABLE cpe_parameters ADD COLUMN source text NOT NULL DEFAULT '';
