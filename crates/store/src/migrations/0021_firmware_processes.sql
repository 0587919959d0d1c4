-- The process that an upload goes through: the place of one whose process died is free at once.
ALTER TABLE firmware_files ADD COLUMN process text NOT NULL DEFAULT '';
