-- What could not be read of a PON port at the last reading, and why.
ALTER TABLE pon_ports ADD COLUMN observed_problem text;
