-- What a plan gets differs from OLT to OLT: it stands with the OLT, and nothing ever wrote these.
ALTER TABLE plans DROP COLUMN line_profile;
ALTER TABLE plans DROP COLUMN service_profile;
