-- Each taking of a lease has a number of its own, so that one who lost it is told from one who has it.
ALTER TABLE node_leases ADD COLUMN token bigint NOT NULL DEFAULT 0;
