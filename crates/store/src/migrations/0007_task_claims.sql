-- What an open task has for itself: serial numbers, a planned ONU, a service, places on a PON. Two orders that are given
-- at the same moment, on whichever nodes and OLTs, cannot both have it.
CREATE TABLE olt_task_claims (
    name text PRIMARY KEY NOT NULL,
    task_id bigint NOT NULL REFERENCES olt_tasks (id) ON DELETE CASCADE
);
CREATE INDEX olt_task_claims_task ON olt_task_claims (task_id);
INSERT INTO olt_task_claims (name, task_id)
SELECT 'serial:' || serial, MIN(id) FROM olt_tasks WHERE finished_at IS NULL GROUP BY serial;
INSERT INTO olt_task_claims (name, task_id)
SELECT 'onu:' || onu_row_id, MIN(id) FROM olt_tasks WHERE finished_at IS NULL AND onu_row_id IS NOT NULL
GROUP BY onu_row_id;
INSERT INTO olt_task_claims (name, task_id)
SELECT 'service:' || service_id, MIN(id) FROM olt_tasks WHERE finished_at IS NULL AND service_id IS NOT NULL
GROUP BY service_id;

-- How often a task was tried in vain since it last got on, and when it is tried again. The lines that are left for a
-- person, in full.
ALTER TABLE olt_tasks ADD COLUMN tries bigint NOT NULL DEFAULT 0;
ALTER TABLE olt_tasks ADD COLUMN next_try_at bigint;
ALTER TABLE olt_tasks ADD COLUMN lines_left text NOT NULL DEFAULT '[]';
